"""The uses of an ONNX graph's constants: who multiplies by which, from which side, and in which
order flattened maps list their features. Nothing is run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import GraphProto, NodeProto, TensorProto

from archspec.backend.file_tensor import FlatOrder
from archspec.backend.flat_order import FlatFeatures, TracedValue, known_order, unknown
from archspec.ir.types import Shape
from archspec_onnx.graph_numbers import GraphNumbers, attribute

AS_THEY_ARE: Mapping[str, Sequence[int]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    "Gather": (0,),
    "Add": (0, 1),
    "Mul": (0, 1),
}
"""The inputs by which an op takes a tensor in the portable layout."""
POOLS = ("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool", "LRN")
CONVOLUTIONS = ("Conv", "ConvTranspose")
MAPS = ("DepthToSpace", "SpaceToDepth", *POOLS)
"""Ops that take and give maps with the channels first, as convolutions do, which make new ones."""
ANY_AXES = ("Pad", "Resize", "Upsample")
"""Ops that leave the axes in their order, whichever that is."""
ELEMENTWISE = (
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish"),
    *(
        "Tanh",
        "Erf",
        "Exp",
        "Log",
        "Sqrt",
        "Gelu",
        "Softplus",
        "Softsign",
        "Mish",
        "ThresholdedRelu",
    ),
    *("Clip", "Softmax", "LogSoftmax", "Abs", "Neg", "Pow", "Identity", "Dropout", "Cast"),
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "Concat"),
    *("BatchNormalization", "InstanceNormalization", "GroupNormalization", "LayerNormalization"),
)
MAX_CHANNELS = 4
"""The channels of an image: an input of more on one side and no more on the other tells which."""


@dataclass
class Use:
    """The uses of a constant, in each of which it may be laid out in another way."""

    op: str = ""
    axes: list[tuple[int, ...] | None] = field(default_factory=list[tuple[int, ...] | None])
    features: list[FlatFeatures] = field(default_factory=list[FlatFeatures])

    @property
    def layout(self) -> tuple[int, ...] | None:
        """The portable axes in the constant's order; None if it is not known."""
        return self.axes[0] if len(set(self.axes)) == 1 else None

    @property
    def flat_order(self) -> FlatOrder | None:
        return known_order(self.features)


def constant_uses(graph: GraphProto, stored: Mapping[str, TensorProto]) -> dict[str, Use]:
    """Return how the graph uses each of its constants, which are given, by name."""
    shapes = {name: tuple(tensor.dims) for name, tensor in stored.items()}
    numbers = GraphNumbers(graph, stored)
    found: dict[str, Use] = defaultdict(Use)
    values = {value.name: _input(value) for value in graph.input if value.name not in shapes}
    sources: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    for node in graph.node:
        constants = {
            index: sources.get(name, (name, ()))
            for index, name in enumerate(node.input)
            if name in shapes or name in sources
        }
        data = [
            values.get(name) or unknown()
            for index, name in enumerate(node.input)
            if name and index not in constants
        ]
        if not data and node.op_type in ("Identity", "Transpose") and len(constants) == 1:
            sources[node.output[0]] = _passed(node, *next(iter(constants.values())), shapes)
            continue
        value = _output(node, data, constants, found, numbers)
        if any(each.is_unfolded for each in data) and node.op_type != "Transpose":
            for each in data:
                each.features.mark(each.map_order or "?")
        values.update(dict.fromkeys(node.output, value))
    return dict(found)


def _input(value: Any) -> TracedValue:
    """Return the input of a graph: a map if it has positions, whose channels its sizes tell."""
    sizes = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim][1:]
    if len(sizes) < 2:
        return TracedValue(FlatFeatures())
    first, last = (0 < size <= MAX_CHANNELS for size in (sizes[0], sizes[-1]))
    if first == last:
        return TracedValue(FlatFeatures(), "chw") if len(sizes) == 2 else unknown()
    return TracedValue(FlatFeatures(), "chw" if first else "hwc")


def _passed(
    node: NodeProto, name: str, axes: tuple[int, ...] | None, shapes: Mapping[str, Shape]
) -> tuple[str, tuple[int, ...] | None]:
    """Return a constant's name behind a Transpose, and the order that its axes have there."""
    if node.op_type == "Identity":
        return name, axes
    order = list(attribute(node, "perm", [])) or [*reversed(range(len(shapes.get(name, ()))))]
    return name, tuple(order) if axes == () else None


def _layout(node: NodeProto, index: int, rank: int) -> tuple[int, ...] | None:
    """Return the portable axes, in the order in which a node reads an input of its own."""
    if node.op_type in AS_THEY_ARE:
        return () if index in AS_THEY_ARE[node.op_type] else None
    if node.op_type == "MatMul":
        return (1, 0) if index == 1 and rank == 2 else None
    if node.op_type == "Gemm" and not attribute(node, "transA", 0):
        is_plain = attribute(node, "alpha", 1.0) == attribute(node, "beta", 1.0) == 1.0
        if not is_plain or index == 0:
            return None
        return () if index == 2 or attribute(node, "transB", 0) else (1, 0)
    return None


def _output(
    node: NodeProto,
    data: Sequence[TracedValue],
    constants: Mapping[int, tuple[str, tuple[int, ...] | None]],
    found: dict[str, Use],
    numbers: GraphNumbers,
) -> TracedValue:
    """Return a node's output, and note how it uses its constants."""
    value, features = _result(node, data, numbers)
    for index, (name, axes) in constants.items():
        use, layout = found[name], _layout(node, index, numbers.rank(name))
        use.op = node.op_type
        use.axes.append(_composed(layout, axes))
        use.features += features
    return value


def _composed(
    layout: tuple[int, ...] | None, axes: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return the portable axes in the order of a constant that lies transposed by `axes`."""
    if layout is None or axes is None or not axes:
        return layout if axes is not None else None
    # Axis i of what the node reads is axis axes[i] of the constant.
    read = layout or tuple(range(len(axes)))
    return tuple(read[axes.index(axis)] for axis in range(len(axes)))


def _result(
    node: NodeProto,
    data: Sequence[TracedValue],
    numbers: GraphNumbers,
) -> tuple[TracedValue, list[FlatFeatures]]:
    """Return a node's output, and the features that its constants list."""
    if not data:
        return unknown(), []
    first = data[0]
    if node.op_type in ("MatMul", "Gemm") and len(data) == 1:
        made = FlatFeatures()
        if first.map_order is not None:
            return unknown(), [FlatFeatures("?")]
        return TracedValue(made), [first.features, made]
    if node.op_type in ELEMENTWISE:
        return _merged(data)
    match node.op_type:
        case "Flatten" if attribute(node, "axis", 1) == 1:
            return first.flattened(), []
        case "Reshape":
            return _reshaped(first, numbers.count(node, 1)), []
        case "Transpose":
            return _transposed(first, attribute(node, "perm", [])), []
        case "ReduceMean" | "ReduceMax" | "Squeeze":
            return _reduced(first, attribute(node, "axes", []) or numbers.listed(node, 1)), []
        case _:
            return _map(node.op_type, first), []


def _merged(data: Sequence[TracedValue]) -> tuple[TracedValue, list[FlatFeatures]]:
    merged = data[0].features
    for other in data[1:]:
        merged = merged | other.features
    orders = {each.map_order for each in data}
    value = TracedValue(merged, data[0].map_order) if len(orders) == 1 else unknown()
    return value, [merged]


def _map(op: str, x: TracedValue) -> TracedValue:
    """Return the output of an op on maps; of any other op nothing is known."""
    if op in CONVOLUTIONS or (op in MAPS and x.map_order != "hwc"):
        return TracedValue(FlatFeatures(), "chw")
    if op in ANY_AXES and x.map_order is not None:
        return TracedValue(FlatFeatures(), x.map_order)
    return unknown()


def _reduced(x: TracedValue, axes: Sequence[int]) -> TracedValue:
    """Return what is left of a map without some of its positions; `axes` is empty if unknown."""
    # Without the number of axes, those of H,W,C are positions from the first on, or before -1.
    is_last = bool(axes) and (
        sorted(axes) == [*range(1, len(axes) + 1)] or all(axis < -1 for axis in axes)
    )
    if (x.map_order == "chw" and 1 not in axes) or (x.map_order == "hwc" and is_last):
        return TracedValue(FlatFeatures(), x.map_order)
    return unknown()


def _reshaped(x: TracedValue, rank: int | None) -> TracedValue:
    if rank == 2:
        return x.flattened()
    if rank is not None and rank > 2 and x.map_order is None and not x.features.order:
        return TracedValue(x.features, "chw", is_unfolded=True)
    return unknown()


def _transposed(x: TracedValue, perm: Sequence[int]) -> TracedValue:
    rank = len(perm)
    to_first, to_last = [0, rank - 1, *range(1, rank - 1)], [0, *range(2, rank), 1]
    if list(perm) == to_first and x.is_unfolded:
        x.features.mark("hwc")
        return TracedValue(FlatFeatures(), "chw")
    if list(perm) == to_first and x.map_order == "hwc":
        return TracedValue(FlatFeatures(), "chw")
    if list(perm) == to_last and x.map_order == "chw":
        return TracedValue(FlatFeatures(), "hwc")
    return unknown()
