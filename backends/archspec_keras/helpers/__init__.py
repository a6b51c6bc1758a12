"""Layers that Keras lacks. Those that a network uses are copied into its file as they stand here.

The 1-D and 3-D forms have another number in their names. All are channels last, a family a file as
in `archspec/ops`.
"""
