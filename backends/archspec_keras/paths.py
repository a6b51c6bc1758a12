"""The names of layers: neutral paths with hyphens for dots, in the letters that every engine takes.

Keras refuses `/` in a layer's name, torch refuses `.` in a parameter's, and TensorFlow takes few letters in a scope's;
what a spec calls otherwise is respelt, part by part, and never as another part.

>>> respelt([["conv1", "3x3 reduce", "3x3_reduce"], ["卷积", "conv"]])
{'3x3 reduce': '3x3_reduce_2', '卷积': 'b'}
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from archspec.codegen.names import Namespace
from archspec.ir.graph import Graph, Node, Scope

SEPARATOR = "-"
_LONGEST = 60
_PLAIN = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_]{{0,{_LONGEST - 1}}}")


def respelt(families: Iterable[Collection[str]]) -> dict[str, str]:
    """Other names for the parts of paths that cannot stay as they are; a family has one parent, and no name twice."""
    siblings: dict[str, dict[str, None]] = {}
    for family in {frozenset(family): tuple(family) for family in families}.values():
        for part in family:
            siblings.setdefault(part, {}).update(dict.fromkeys(family))
    found: dict[str, str] = {}
    for part in siblings:
        if not _PLAIN.fullmatch(part):
            space = Namespace(
                *(found.get(other, other) for other in siblings[part] if other != part)
            )
            found[part] = space.unique(plain(part))
    return found


def plain(text: str) -> str:
    """A text in the letters that are taken."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", text[: 4 * _LONGEST]).strip("_")[:_LONGEST].rstrip("_")
    return name or "b"


def parts_of(item: Scope | Node) -> list[str]:
    """The parts of a path, from the outside in."""
    if isinstance(item, Node):
        return [*parts_of(item.scope), item.name]
    return [scope.name for scope in item.chain() if scope.parent is not None][::-1]


class Paths:
    """The names of a graph's layers; `renamed` are the parts that are respelt."""

    def __init__(self, graph: Graph) -> None:
        families: dict[Scope | None, dict[str, None]] = {}
        for node in graph.nodes:
            families.setdefault(node.scope, {})[node.name] = None
            for scope in node.scope.chain():
                families.setdefault(scope.parent, {})[scope.name] = None
        del families[None]
        self.renamed = respelt(families.values())

    def layer(self, node: Node) -> str:
        """The name of the layer that computes a node."""
        return SEPARATOR.join(self.spelt(parts_of(node)))

    def spelt(self, parts: Sequence[str]) -> list[str]:
        """The parts of a path as layers are called by them."""
        return [self.renamed.get(part, part) for part in parts]

    def code(self, item: Scope | Node, around: Scope, counters: dict[int, str]) -> str:
        """The name as source, in a function that is given that of `around`; `counters` stand for parts, by place."""
        inner = len(parts_of(around))
        said = [counters.get(place, part) for place, part in enumerate(self.spelt(parts_of(item)))][
            inner:
        ]
        text = SEPARATOR.join([*(["{name}"] if inner else ()), *said])
        return f'f"{text}"' if "{" in text else f'"{text}"'
