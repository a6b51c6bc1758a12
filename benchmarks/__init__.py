"""Benchmarks of archspec against comparable tools: `python -m benchmarks [name ...]`."""
