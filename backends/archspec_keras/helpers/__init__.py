"""Layers that Keras lacks. Those that a network uses are copied into its file as they stand here.

The 1-D and 3-D forms are these with another number in their names. All are channels last. A family has the file of its
name, as in `archspec/ops`.
"""
