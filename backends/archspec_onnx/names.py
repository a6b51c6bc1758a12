"""Names in the emitted graph: portable names, each once, spelt so that engines can hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from archspec.backend import TensorLayout
from archspec.ir.graph import Graph, Node

INPUT, DROPOUT = "input", "dropout"


class UniqueNames:
    """Names that are each given out once; a name that is taken gets a number.

    >>> names = UniqueNames()
    >>> names.take("conv"), names.take("conv"), names.take("a\\nb")
    ('conv', 'conv_2', 'a\\\\nb')
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """Return the name, or its first free variant."""
        name = printable(wanted)
        count = self._next.get(name, 1)
        unique = name if count == 1 else f"{name}_{count}"
        while unique in self._next:
            count += 1
            unique = f"{name}_{count}"
        self._next[name] = count + 1
        self._next.setdefault(unique, 2)
        return unique


def printable(text: str) -> str:
    """Return text that prints on one line and is not empty.

    An empty name would mean an absent value, and engines cut a name at a zero byte.

    >>> printable("a\\0b"), printable("")
    ('a\\\\x00b', '_')
    """
    if not text.isprintable():
        text = text.encode("unicode_escape").decode("ascii")
    return text or "_"


class GraphNames:
    """The names of a graph's tensors, inputs, outputs and nodes, given out in that order.

    They depend on the graph alone, and not on how it is emitted.
    """

    def __init__(self, graph: Graph) -> None:
        self.values, self.nodes = UniqueNames(), UniqueNames()
        self.tensors = {name: self.values.take(name) for name, _, _ in graph.parameters()}
        self.input = self.values.take(INPUT)
        self.heads = {head.name: self.values.take(head.name) for head in graph.heads}
        self.dropout = self.values.take(DROPOUT)
        self.node = self._paths(self.nodes, graph.nodes[1:])
        self.value = {0: self.input, **self._paths(self.values, graph.nodes[1:])}

    @staticmethod
    def _paths(names: UniqueNames, nodes: Iterable[Node]) -> dict[int, str]:
        return {node.index: names.take(node.path) for node in nodes}


def tensor_layout(graph: Graph) -> Mapping[str, TensorLayout]:
    """Return each initialiser's name and shape, by the tensor's portable name."""
    names = GraphNames(graph).tensors
    return {name: TensorLayout(names[name], param.shape) for name, _, param in graph.parameters()}
