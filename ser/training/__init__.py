"""Training: where table, split, features, network and Lightning meet."""
