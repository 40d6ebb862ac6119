"""Results: predictions in, scores, tables and figures out; never a model."""
