"""What a lowering works with: the place of one node, where it adds ONNX nodes that read tensors and one another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from archspec.ir.graph import Graph, Node
from archspec.ir.types import Shape
from archspec_onnx.names import Names, readable

if TYPE_CHECKING:
    from onnx import NodeProto

# onnx and numpy are imported where a node is made: which ops can be lowered is known without them.


@dataclass
class Site:
    """One node of the graph being lowered; `inputs` are the names of the values that it reads."""

    graph: Graph
    node: Node
    inputs: tuple[str, ...]
    names: Names
    opset: int
    train: bool = False
    added: list[NodeProto] = field(default_factory=list["NodeProto"])
    updates: dict[str, str] = field(default_factory=dict[str, str])
    """What train mode moves: the name of the new value, by the tensor's neutral name."""

    @property
    def x(self) -> str:
        """The value that a node with one input reads."""
        return self.inputs[0]

    @property
    def shape(self) -> Shape:
        """The shape of that value, without the batch."""
        return self.graph.nodes[self.node.inputs[0]].shape

    @property
    def rank(self) -> int:
        """How many axes follow the channels."""
        return len(self.shape) - 1

    def tensor(self, role: str) -> str:
        """The initialiser of one of its tensors."""
        return self.names.tensors[f"{self.node.path}.{role}"]

    def tensors(self, *roles: str) -> tuple[str, ...]:
        """Those of these that it owns."""
        owned = {param.role for param in self.graph.params(self.node)}
        return tuple(self.tensor(role) for role in roles if role in owned)

    def add(self, operator: str, *inputs: str, part: str = "", **attributes: Any) -> str:
        """Adds an ONNX node and names its value: after the spec's node, with `part` where it is one of several."""
        from onnx import helper

        name, value = self.names.node[self.node.index], self.names.value[self.node.index]
        if part:
            name, value = (
                space.take(f"{self.node.path}.{part}")
                for space in (self.names.nodes, self.names.values)
            )
        given = {key: attribute for key, attribute in attributes.items() if attribute is not None}
        made = helper.make_node(operator, inputs, [value], name, **given)
        made.doc_string = place(self.node)
        self.added.append(made)
        return value

    def constant(
        self, part: str, values: Any, *, shape: Sequence[int] | None = None, dtype: str = "float32"
    ) -> str:
        """A value that is no weight: a node of its own, so that the initialisers are the tensors and nothing else."""
        import numpy as np
        from onnx import numpy_helper

        array = np.asarray(values, dtype)
        tensor = numpy_helper.from_array(array if shape is None else array.reshape(shape))
        return self.add("Constant", part=part, value=tensor)

    def whole(self, part: str, values: Any) -> str:
        """A constant of whole numbers, such as axes and sizes."""
        return self.constant(part, values, dtype="int64")

    def reshape(self, value: str, shape: Shape, part: str = "") -> str:
        """The value under another shape of a sample."""
        return self.add(
            "Reshape", value, self.whole(f"{part or 'to'}.shape", (0, *shape)), part=part
        )

    def bordered(self, pads: Sequence[tuple[int, int]], number: float) -> str:
        """What enters, with a border of that number around its positions."""
        sides = self.whole(
            "border.pads",
            [0, 0, *(before for before, _ in pads), 0, 0, *(after for _, after in pads)],
        )
        return self.add("Pad", self.x, sides, self.constant("border.value", number), part="border")

    def reduce(
        self, operator: str, value: str, axes: Sequence[int], part: str = "", *, keep: bool = True
    ) -> str:
        """ReduceMean, ReduceSum or ReduceMax; the first and the last took their axes as an attribute once."""
        keepdims = int(keep)
        if self.opset < 18 and operator != "ReduceSum":
            return self.add(operator, value, part=part, axes=list(axes), keepdims=keepdims)
        return self.add(
            operator, value, self.whole(f"{part or 'all'}.axes", axes), part=part, keepdims=keepdims
        )

    def along(self, value: str, part: str) -> str:
        """A tensor of one number per channel, shaped to meet the channels of a batch."""
        if self.rank == 0:
            return value
        return self.add(
            "Reshape", value, self.whole(f"{part}.shape", (-1, *(1,) * self.rank)), part=part
        )

    def filled(self, part: str, shape: Shape, number: float) -> str:
        """A constant tensor of one number; it takes no room in the file."""
        from onnx import helper

        fill = helper.make_tensor("", 1, [1], [number])
        return self.add(
            "ConstantOfShape", self.whole(f"{part}.shape", shape), part=part, value=fill
        )


def place(node: Node) -> str:
    """Where a node was written: `net.yaml:23`, without the folders, which are nobody else's business."""
    file = re.split(r"[/\\]", node.span.source.name)[-1]
    return readable(f"{file}:{node.span.line}")


def spread(before_after: Sequence[tuple[int, int]]) -> list[int] | None:
    """Pads in ONNX's order, all begins and then all ends; None where there are none."""
    flat = [pair[0] for pair in before_after] + [pair[1] for pair in before_after]
    return flat if any(flat) else None


def unless(value: Sequence[int], usual: int) -> list[int] | None:
    """An attribute that is left out where it says what ONNX takes by default."""
    return list(value) if any(number != usual for number in value) else None
