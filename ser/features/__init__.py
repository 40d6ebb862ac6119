"""Features: `feature(wave, rate)` turns a mono wave into frames of values."""
