"""Weights by neutral name: where they start, and the checkpoint that holds them."""
