"""The names of layers: portable paths with hyphens for dots, in letters that every engine takes.

Keras refuses `/` in a layer's name, torch refuses `.` in a parameter's, and TensorFlow takes few
letters in a scope's. Parts of a path with other letters are respelt, each as no part beside it.

>>> respelt([["conv1", "3x3 reduce", "3x3_reduce"], ["卷积", "conv"]])
{'3x3 reduce': '3x3_reduce_2', '卷积': 'b'}
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from archspec.codegen.call_location import CallLocation, path_parts
from archspec.codegen.names import Namespace
from archspec.ir.graph import Graph, Node, Scope

SEPARATOR = "-"
MAX_PART_LENGTH = 60
_ALLOWED = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_]{{0,{MAX_PART_LENGTH - 1}}}")


def respelt(families: Iterable[Collection[str]]) -> dict[str, str]:
    """Return other names for the parts of paths that have letters which are not allowed.

    A family holds the names under one parent; none of them gets the name of another.
    """
    siblings: dict[str, dict[str, None]] = {}
    for family in {frozenset(family): tuple(family) for family in families}.values():
        for part in family:
            siblings.setdefault(part, {}).update(dict.fromkeys(family))
    renamed: dict[str, str] = {}
    for part in siblings:
        if not _ALLOWED.fullmatch(part):
            others = (other for other in siblings[part] if other != part)
            space = Namespace(*(renamed.get(other, other) for other in others))
            renamed[part] = space.unique(allowed_name(part))
    return renamed


def allowed_name(text: str) -> str:
    """Return a text in the letters that are allowed, shortened if it is long."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text[: 4 * MAX_PART_LENGTH])
    return name.strip("_")[:MAX_PART_LENGTH].rstrip("_") or "b"


class Paths:
    """The names of a graph's layers; `renamed` has the parts that are respelt."""

    def __init__(self, graph: Graph) -> None:
        families: dict[Scope | None, dict[str, None]] = {}
        for node in graph.nodes:
            families.setdefault(node.scope, {})[node.name] = None
            for scope in node.scope.chain():
                families.setdefault(scope.parent, {})[scope.name] = None
        del families[None]
        self.renamed = respelt(families.values())

    def layer(self, node: Node) -> str:
        """Return the name of the layer that computes a node."""
        return SEPARATOR.join(self.renamed.get(part, part) for part in path_parts(node))

    def name_code(self, location: CallLocation) -> str:
        """Return the code of a layer's name, or of the name that a block's function is given."""
        return location.path_code(SEPARATOR, self.renamed)
