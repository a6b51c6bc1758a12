"""The context of a lowering: one node of the graph, and the ONNX nodes that are added for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archspec.ir.graph import Graph, Node
from archspec.ir.types import Shape
from archspec_onnx.names import GraphNames, printable

if TYPE_CHECKING:
    from onnx import NodeProto

# onnx and numpy are imported where a node is made: which ops can be lowered is known without them.


@dataclass
class LoweringContext:
    """A node of the graph being lowered; `inputs` names the values that it reads."""

    graph: Graph
    node: Node
    inputs: tuple[str, ...]
    names: GraphNames
    opset: int
    train: bool = False
    nodes: list[NodeProto] = field(default_factory=list["NodeProto"])
    running_stats: dict[str, str] = field(default_factory=dict[str, str])
    """The names of the updated running statistics in train mode, by portable name."""

    @property
    def x(self) -> str:
        """The name of the first input."""
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """The shape of the first input, without the batch."""
        return self.graph.nodes[self.node.inputs[0]].shape

    @property
    def rank(self) -> int:
        """The number of spatial axes: those after the channels."""
        return len(self.shape) - 1

    def tensor(self, role: str) -> str:
        """Return the initialiser of one of the node's tensors."""
        return self.names.tensors[f"{self.node.path}.{role}"]

    def tensors(self, *roles: str) -> tuple[str, ...]:
        """Return the initialisers of the roles that the node has."""
        node_roles = {param.role for param in self.graph.params(self.node)}
        return tuple(self.tensor(role) for role in roles if role in node_roles)

    def add(self, operator: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Add an ONNX node and return its value's name.

        The name is that of the spec's node, with `part` if the node becomes several. Attributes
        that are None are left out.
        """
        from onnx import helper

        if part:
            name = self.names.nodes.take(f"{self.node.path}.{part}")
            value = self.names.values.take(f"{self.node.path}.{part}")
        else:
            name = self.names.node[self.node.index]
            value = self.names.value[self.node.index]
        attributes = {key: attr for key, attr in attributes.items() if attr is not None}
        onnx_node = helper.make_node(operator, inputs, [value], name, **attributes)
        onnx_node.doc_string = source_line(self.node)
        self.nodes.append(onnx_node)
        return value

    def constant(
        self, part: str, values: Any, *, shape: Sequence[int] | None = None, dtype: str = "float32"
    ) -> str:
        """Add a constant and return its name.

        It is a node, so that the initialisers are the tensors and nothing else.
        """
        import numpy as np
        from onnx import numpy_helper

        array = np.asarray(values, dtype)
        tensor = numpy_helper.from_array(array if shape is None else array.reshape(shape))
        return self.add("Constant", part=part, value=tensor)

    def int64_constant(self, part: str, values: Any) -> str:
        """Add a constant of integers, such as axes and sizes."""
        return self.constant(part, values, dtype="int64")

    def reshape(self, value: str, shape: Shape, part: str = "") -> str:
        """Reshape each sample of a value."""
        return self.add(
            "Reshape", value, self.int64_constant(f"{part or 'to'}.shape", (0, *shape)), part=part
        )

    def padded(self, pads: Sequence[tuple[int, int]], number: float) -> str:
        """Pad the first input's spatial axes with a number."""
        sides = self.int64_constant(
            "border.pads",
            [0, 0, *(before for before, _ in pads), 0, 0, *(after for _, after in pads)],
        )
        return self.add("Pad", self.x, sides, self.constant("border.value", number), part="border")

    def reduce(
        self, operator: str, value: str, axes: Sequence[int], part: str = "", *, keep: bool = True
    ) -> str:
        """Add ReduceMean, ReduceSum or ReduceMax.

        Before opset 18, all but ReduceSum take their axes as an attribute.
        """
        keepdims = int(keep)
        if self.opset < 18 and operator != "ReduceSum":
            return self.add(operator, value, part=part, axes=list(axes), keepdims=keepdims)
        return self.add(
            operator,
            value,
            self.int64_constant(f"{part or 'all'}.axes", axes),
            part=part,
            keepdims=keepdims,
        )

    def per_channel(self, value: str, part: str) -> str:
        """Reshape a tensor of one number per channel so that it broadcasts over a batch."""
        if self.rank == 0:
            return value
        return self.add(
            "Reshape",
            value,
            self.int64_constant(f"{part}.shape", (-1, *(1,) * self.rank)),
            part=part,
        )

    def filled(self, part: str, shape: Shape, number: float) -> str:
        """Add a tensor filled with one number, which takes almost no space in the file."""
        from onnx import helper

        fill = helper.make_tensor("", 1, [1], [number])
        return self.add(
            "ConstantOfShape", self.int64_constant(f"{part}.shape", shape), part=part, value=fill
        )


def source_line(node: Node) -> str:
    """Return where a node was written, `net.yaml:23`; folders are private, and left out."""
    file = re.split(r"[/\\]", node.span.source.name)[-1]
    return printable(f"{file}:{node.span.line}")


def flat_pads(before_after: Sequence[tuple[int, int]]) -> list[int] | None:
    """Return padding in ONNX's order, all begins and then all ends; None if it is all 0.

    >>> flat_pads([(1, 2), (3, 4)])
    [1, 3, 2, 4]
    """
    flat = [before for before, _ in before_after] + [after for _, after in before_after]
    return flat if any(flat) else None


def unless_default(value: Sequence[int], default: int) -> list[int] | None:
    """Return an attribute's value, or None if it is ONNX's default for every axis."""
    return list(value) if any(number != default for number in value) else None
