"""Protocols: `split(table, seed)` decides who trains, who chooses and who tests."""
