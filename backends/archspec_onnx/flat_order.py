"""The uses of an ONNX graph's constants: who multiplies by which, from which side, and in which
order flattened maps list their features. Nothing is run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import AttributeProto, GraphProto, NodeProto

from archspec.backend.file_tensor import FlatOrder
from archspec.backend.flat_order import UNKNOWN, FlatFeatures, TracedValue, known_order
from archspec.ir.types import Shape

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
MAPS = (
    "Conv",
    "ConvTranspose",
    "Resize",
    "Upsample",
    "DepthToSpace",
    "SpaceToDepth",
    "Pad",
    *POOLS,
)
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


def constant_uses(graph: GraphProto, shapes: Mapping[str, Shape]) -> dict[str, Use]:
    """Return how the graph uses each of its constants, whose shapes are given, by name."""
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
            values.get(name, UNKNOWN)
            for index, name in enumerate(node.input)
            if name and index not in constants
        ]
        if not data and node.op_type in ("Identity", "Transpose") and len(constants) == 1:
            sources[node.output[0]] = _passed(node, *next(iter(constants.values())), shapes)
            continue
        value = _output(node, data, constants, found, shapes)
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
        return TracedValue(FlatFeatures(), "chw") if len(sizes) == 2 else UNKNOWN
    return TracedValue(FlatFeatures(), "chw" if first else "hwc")


def _passed(
    node: NodeProto, name: str, axes: tuple[int, ...] | None, shapes: Mapping[str, Shape]
) -> tuple[str, tuple[int, ...] | None]:
    """Return a constant's name behind a Transpose, and the order that its axes have there."""
    if node.op_type == "Identity":
        return name, axes
    order = list(_attribute(node, "perm", [])) or [*reversed(range(len(shapes.get(name, ()))))]
    return name, tuple(order) if axes == () else None


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            if attribute.type == AttributeProto.INTS:
                return list(attribute.ints)
            return attribute.f if attribute.type == AttributeProto.FLOAT else attribute.i
    return default


def _layout(node: NodeProto, index: int, rank: int) -> tuple[int, ...] | None:
    """Return the portable axes, in the order in which a node reads an input of its own."""
    if node.op_type in AS_THEY_ARE:
        return () if index in AS_THEY_ARE[node.op_type] else None
    if node.op_type == "MatMul":
        return (1, 0) if index == 1 and rank == 2 else None
    if node.op_type == "Gemm" and not _attribute(node, "transA", 0):
        is_plain = _attribute(node, "alpha", 1.0) == _attribute(node, "beta", 1.0) == 1.0
        if not is_plain or index == 0:
            return None
        return () if index == 2 or _attribute(node, "transB", 0) else (1, 0)
    return None


def _output(
    node: NodeProto,
    data: Sequence[TracedValue],
    constants: Mapping[int, tuple[str, tuple[int, ...] | None]],
    found: dict[str, Use],
    shapes: Mapping[str, Shape],
) -> TracedValue:
    """Return a node's output, and note how it uses its constants."""
    value, features = _result(node, data, constants, shapes)
    for index, (name, axes) in constants.items():
        use, layout = found[name], _layout(node, index, len(shapes.get(name, ())))
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
    constants: Mapping[int, tuple[str, tuple[int, ...] | None]],
    shapes: Mapping[str, Shape],
) -> tuple[TracedValue, list[FlatFeatures]]:
    """Return a node's output, and the features that its constants list."""
    if not data:
        return UNKNOWN, []
    first = data[0]
    if node.op_type in ("MatMul", "Gemm") and len(data) == 1:
        made = FlatFeatures()
        if first.map_order is not None:
            return UNKNOWN, [FlatFeatures("?")]
        return TracedValue(made), [first.features, made]
    if node.op_type in MAPS:
        return TracedValue(FlatFeatures(), "chw"), []
    if node.op_type in ELEMENTWISE:
        return _merged(data)
    match node.op_type:
        case "Flatten":
            return first.flattened(), []
        case "Reshape":
            return _reshaped(first, constants, shapes), []
        case "Transpose":
            return _transposed(first, _attribute(node, "perm", [])), []
        case "ReduceMean" | "ReduceMax" | "Squeeze":
            return TracedValue(FlatFeatures(), first.map_order and "chw"), []
        case _:
            return UNKNOWN, []


def _merged(data: Sequence[TracedValue]) -> tuple[TracedValue, list[FlatFeatures]]:
    merged = data[0].features
    for other in data[1:]:
        merged = merged | other.features
    orders = {each.map_order for each in data}
    value = TracedValue(merged, data[0].map_order) if len(orders) == 1 else UNKNOWN
    return value, [merged]


def _reshaped(
    x: TracedValue, constants: Mapping[int, tuple[str, Any]], shapes: Mapping[str, Shape]
) -> TracedValue:
    # A shape that is computed is that of a flatten: exporters of PyTorch's `view` compute it.
    shape = shapes.get(constants[1][0], ()) if 1 in constants else (2,)
    to = shape[0] if len(shape) == 1 else 0
    if to == 2:
        return x.flattened()
    if to > 2 and x.map_order is None and not x.features.order:
        return TracedValue(x.features, "chw", is_unfolded=True)
    return UNKNOWN


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
    return UNKNOWN
