"""Passes: each takes a graph and gives one that computes the same in the mode that it names."""
