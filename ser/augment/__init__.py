"""Augmentations: training utterances, a whole batch at once, a little different every time."""
