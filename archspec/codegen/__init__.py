"""Shared code for emitters of Python source: from a graph to classes or functions.

`tree_builder` folds a graph's flat list of nodes into a module tree. `classes` finds the scopes
that one class can stand for, and `constructor_args` writes every constructor call in terms of that
class's parameters. `printer`, `table` and `file` turn the result into text; `packaged` adds the
helpers that it uses. A framework's own parts come in a `Dialect`.
"""
