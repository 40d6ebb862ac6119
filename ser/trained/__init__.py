"""A trained model by itself, from its checkpoint: no corpus, no Lightning."""
