"""Side by side with peers: `python -m benchmarks [name ...]` prints each figure, its peer's and their ratio."""
