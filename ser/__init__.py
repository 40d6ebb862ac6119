"""Speech emotion recognition experiments: honest protocols, one loop for every model."""
