"""From YAML to a graph.

`loader` reads a spec and what it extends, and reports every error that it finds at once.
"""
