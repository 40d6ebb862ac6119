"""Corpora: `read(root)` lists the recordings, `audit` decides which of them can be used."""
