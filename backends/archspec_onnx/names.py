"""Names in the emitted graph: the spec's own neutral names, each once, and never one that an engine cannot hold."""

from __future__ import annotations

from collections.abc import Iterable

from archspec.ir.graph import Graph, Node

INPUT, DROPOUT = "input", "dropout"


class Namespace:
    """Gives out names; one that is taken gets a number.

    >>> space = Namespace()
    >>> space.take("conv"), space.take("conv"), space.take("a\\nb")
    ('conv', 'conv_2', 'a\\\\nb')
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        name = readable(wanted)
        count = self._next.get(name, 1)
        found = name if count == 1 else f"{name}_{count}"
        while found in self._next:
            count += 1
            found = f"{name}_{count}"
        self._next[name] = count + 1
        self._next.setdefault(found, 2)
        return found


def readable(text: str) -> str:
    """Text that prints on one line; an empty name would mean an absent value, and engines cut a name at a zero byte."""
    return (text if text.isprintable() else text.encode("unicode_escape").decode("ascii")) or "_"


class Names:
    """The names of a graph's tensors, inputs, outputs and nodes, given out in that order: the first keep theirs.

    They depend on the graph alone, and not on how it is emitted.
    """

    def __init__(self, graph: Graph) -> None:
        self.values, self.nodes = Namespace(), Namespace()
        self.tensors = {name: self.values.take(name) for name, _, _ in graph.parameters()}
        self.input = self.values.take(INPUT)
        self.heads = {head.name: self.values.take(head.name) for head in graph.heads}
        self.dropout = self.values.take(DROPOUT)
        self.node = self._paths(self.nodes, graph.nodes[1:])
        self.value = {0: self.input, **self._paths(self.values, graph.nodes[1:])}

    @staticmethod
    def _paths(space: Namespace, nodes: Iterable[Node]) -> dict[int, str]:
        return {node.index: space.take(node.path) for node in nodes}
