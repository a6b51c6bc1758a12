"""The whole numbers in an ONNX graph that say what its nodes do: attributes, axes and shapes."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

MAX_NUMBERS = 16
"""More axes than any tensor has."""
MAX_STEPS = 32
"""Nodes that are followed from a shape to what it is computed of."""


class GraphNumbers:
    """The constants of a graph, read as far as its nodes take axes and shapes from them."""

    def __init__(self, graph: GraphProto, stored: Mapping[str, TensorProto]) -> None:
        self._stored = stored
        self._makers = {name: node for node in graph.node for name in node.output}

    def rank(self, name: str) -> int:
        """Return the number of axes of a constant; 0 if there is none of that name."""
        return len(self._stored[name].dims) if name in self._stored else 0

    def listed(self, node: NodeProto, index: int) -> list[int]:
        """Return the numbers in a node's input; none if it is computed, or left out."""
        tensor = self._stored.get(_input(node, index))
        is_plain = tensor is not None and tensor.data_location == TensorProto.DEFAULT
        if tensor is None or not is_plain or tensor.data_type != TensorProto.INT64:
            return []
        raw = tensor.raw_data[: 8 * MAX_NUMBERS]
        return [*tensor.int64_data[:MAX_NUMBERS]] or [
            number for (number,) in struct.iter_unpack("<q", raw[: len(raw) // 8 * 8])
        ]

    def count(self, node: NodeProto, index: int) -> int | None:
        """Return how many numbers the shape in a node's input has; None if that is not known."""
        return self._count(_input(node, index), MAX_STEPS)

    def _count(self, name: str, steps: int) -> int | None:
        if name in self._stored:
            dims = self._stored[name].dims
            return dims[0] if len(dims) == 1 else None
        node = self._makers.get(name)
        if node is None or steps <= 0:
            return None
        match node.op_type:
            case "Unsqueeze":
                return 1  # a shape has one axis, so that this was a number without any
            case "Identity" | "Cast" | "Gather":
                return self._count(_input(node, int(node.op_type == "Gather")), steps - 1)
            case "Concat" if 0 < len(node.input) <= MAX_NUMBERS:
                return self._sum(node.input, steps // len(node.input) - 1)
            case _:
                return None

    def _sum(self, names: Sequence[str], steps: int) -> int | None:
        counts = [self._count(name, steps) for name in names]
        return None if None in counts else sum(count or 0 for count in counts)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """Return a node's attribute of numbers; the default if it is of another kind than that."""
    for each in node.attribute:
        is_list = each.type == AttributeProto.INTS
        if each.name == name and is_list == isinstance(default, list):
            if is_list:
                return list(each.ints)
            return each.f if each.type == AttributeProto.FLOAT else each.i
    return default


def _input(node: NodeProto, index: int) -> str:
    return node.input[index] if index < len(node.input) else ""
