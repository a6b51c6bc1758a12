"""Training: the loop that is shared by all backends, and what it needs."""
