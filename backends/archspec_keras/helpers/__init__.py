"""Layers that Keras has none of: what a network uses of them is copied into its file, as it stands here.

The 1-D and 3-D forms are these with another number in their names. All are channels last. A family has the file of its
name, as in `archspec/ops`.
"""
