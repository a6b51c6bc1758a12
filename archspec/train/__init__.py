"""Training: the loop that all backends share, and what it needs."""
