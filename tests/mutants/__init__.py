"""Mistakes put into the code one at a time, each with the tests that have to see it.

`python -m tests.mutants` (or `make mutants`) applies every entry of the `.toml` files here to a
copy of the tree, runs the entry's tests there, and names the mutants that survive.
"""
