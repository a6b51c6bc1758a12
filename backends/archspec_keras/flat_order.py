"""The order of flattened features in a model that a `.keras` file describes.

Keras flattens maps as H,W,C, a portable tensor means C,H,W: rows of a Dense behind a Flatten, and
columns of one before a Reshape. Nothing is built: the description alone is followed.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# What a file describes is JSON, of any type.

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archspec.backend.file_tensor import FlatOrder
from archspec.backend.flat_order import FlatFeatures, TracedValue, known_order, unknown

KEEPING = ("MaxPool", "AveragePool", "ZeroPadding", "Cropping", "UpSampling", "Resizing")
"""Beginnings of the names of layers that take maps and leave the axes in their order."""
MAPS = ("Conv", "DepthwiseConv", "SeparableConv", *KEEPING)
"""Beginnings of the names of layers that take and give maps."""
ELEMENTWISE = (
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Identity", "Rescaling"),
    *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise", "ActivityRegularization"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "BatchNormalization"),
    *("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
)
VECTORS = ("LSTM", "GRU", "SimpleRNN", "Bidirectional", "Embedding")
MAX_CALLS = 100_000
"""Calls of layers: models that are called in models multiply theirs."""
MODELS = ("Functional", "Sequential", "Model")


@dataclass
class FlatOrders:
    """The features that each layer's tensors list, by the layer's path of names."""

    calls: int = 0
    uses: dict[tuple[str, ...], list[FlatFeatures]] = field(
        default_factory=lambda: defaultdict[tuple[str, ...], list[FlatFeatures]](list)
    )

    def of(self, path: tuple[str, ...]) -> FlatOrder | None:
        """Return the order of a layer's features; None if it is not known."""
        return known_order(self.uses.get(path, ()))


def flat_orders(model: Any) -> FlatOrders:
    """Return the orders of features in a model, from its description in a `.keras` file."""
    orders = FlatOrders()
    if is_model(model):
        _follow_model(model, (), [], orders)
    return orders


def is_model(layer: Any) -> bool:
    """Return whether a layer's description has layers in it."""
    config = layer.get("config") or {}
    return layer.get("class_name", MODELS[0]) in MODELS and isinstance(config.get("layers"), list)


def is_keras_layer(layer: Any) -> bool:
    """Return whether a layer's class is Keras's own, and not one of the same name."""
    module = layer.get("module") or "keras"
    return module.partition(".")[0] == "keras" and ">" not in (layer.get("registered_name") or "")


def _follow_model(
    model: Any, path: tuple[str, ...], given: Sequence[TracedValue], orders: FlatOrders
) -> list[TracedValue]:
    """Follow the layers of a model, and return its outputs."""
    config = model["config"]
    outputs: dict[tuple[str, int], TracedValue] = {}
    inputs = iter(given)
    is_chain = "input_layers" not in config
    shape = (model.get("build_config") or {}).get("input_shape")
    last = next(inputs, _input(shape)) if is_chain else unknown()
    for layer in config["layers"]:
        name = layer["config"]["name"]
        if layer["class_name"] == "InputLayer":
            stated = _input(layer["config"].get("batch_shape"))
            is_given = bool(given) and is_chain
            outputs[name, 0] = last = last if is_given else next(inputs, stated)
            continue
        calls = [[last]] if is_chain else [*_calls(layer, outputs)]
        for number, arguments in enumerate(calls):
            results = _follow(layer, (*path, name), arguments, orders)
            outputs[name, number] = last = results[0] if len(results) == 1 else unknown()
    if is_chain:
        return [last]
    return [outputs.get((name, number)) or unknown() for name, number in _ends(config)]


def _ends(config: Any) -> Iterator[tuple[str, int]]:
    """Yield the layers and calls whose values a model returns."""
    ends: Any = config.get("output_layers")
    if isinstance(ends, list) and ends and isinstance(ends[0], str):
        ends = [ends]
    for end in ends if isinstance(ends, list) else ():
        yield str(end[0]), int(end[1])


def _input(shape: Any) -> TracedValue:
    return TracedValue(FlatFeatures(), "hwc" if len(shape or ()) > 2 else None)


def _calls(
    layer: Any, outputs: Mapping[tuple[str, int], TracedValue]
) -> Iterator[list[TracedValue]]:
    """Yield the arguments of each call of a layer."""
    for node in layer.get("inbound_nodes") or ():
        histories = [*_histories(node)]
        yield [outputs.get((str(name), int(call))) or unknown() for name, call in histories]


def _histories(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the layer and call that each tensor in a call's arguments comes from."""
    if isinstance(value, dict):
        history = value.get("config", {}).get("keras_history") if "class_name" in value else None
        if history:
            yield history[0], history[1]
            return
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _histories(item)


def _follow(
    layer: Any, path: tuple[str, ...], arguments: Sequence[TracedValue], orders: FlatOrders
) -> list[TracedValue]:
    orders.calls += 1
    if orders.calls > MAX_CALLS:
        raise ValueError(f"its layers are called more than {MAX_CALLS:,} times")
    if is_model(layer):
        return _follow_model(layer, path, arguments, orders)
    if not arguments:
        return [unknown()]
    value = _output(layer, arguments, orders.uses[path])
    if any(each.is_unfolded for each in arguments) and layer["class_name"] != "Permute":
        for each in arguments:
            each.features.mark(each.map_order or "?")
    return [value]


def _output(layer: Any, arguments: Sequence[TracedValue], uses: list[FlatFeatures]) -> TracedValue:
    """Return a layer's output, and add the features that its tensors list to `uses`."""
    kind, config, first = layer["class_name"], layer["config"], arguments[0]
    is_ours = (layer.get("registered_name") or "").startswith("archspec>")
    if is_ours or (is_keras_layer(layer) and kind in ELEMENTWISE):
        merged = first.features
        for other in arguments[1:]:
            merged = merged | other.features
        same = {each.map_order for each in arguments} == {first.map_order}
        uses.append(merged)
        return TracedValue(merged, first.map_order) if same else unknown()
    if not is_keras_layer(layer):
        return unknown()
    if kind == "Dense":
        return _dense(first, uses)
    if kind.startswith("Global") or kind in VECTORS:
        return TracedValue(FlatFeatures(), _maps(config) if config.get("keepdims") else None)
    if kind.startswith(MAPS):
        return _map(kind, first, _maps(config))
    match kind:
        case "Flatten":
            return _flattened(first, channels_first=config.get("data_format") == "channels_first")
        case "Reshape":
            return _reshaped(first, config.get("target_shape") or ())
        case "Permute":
            return _permuted(first, list(config.get("dims") or ()))
        case _:
            return unknown()


def _maps(config: Any) -> FlatOrder:
    return "chw" if config.get("data_format") == "channels_first" else "hwc"


def _map(kind: str, x: TracedValue, order: FlatOrder) -> TracedValue:
    # What moves no axis leaves a map that lies in another way than the layer states so.
    is_turned = kind.startswith(KEEPING) and x.map_order not in (None, order)
    return unknown() if is_turned else TracedValue(FlatFeatures(), order)


def _dense(x: TracedValue, uses: list[FlatFeatures]) -> TracedValue:
    """Return the output of a Dense: of a map it reads the last axis alone."""
    made = FlatFeatures()
    if x.map_order == "hwc":
        uses.append(made)
        return TracedValue(made, "hwc")
    uses += [x.features, made]
    return TracedValue(made) if x.map_order is None else unknown()


def _flattened(x: TracedValue, channels_first: bool = False) -> TracedValue:
    # Maps with the channels first are turned to channels last before they are flattened.
    if channels_first and x.map_order:
        return TracedValue(FlatFeatures("hwc" if x.map_order == "chw" else "?"))
    return x.flattened()


def _reshaped(x: TracedValue, shape: Sequence[int]) -> TracedValue:
    if len(shape) == 1:
        return x.flattened()
    if x.map_order is None and not x.features.order:
        return TracedValue(x.features, "hwc", is_unfolded=True)
    return unknown()


def _permuted(x: TracedValue, dims: Sequence[int]) -> TracedValue:
    rank = len(dims)
    if x.map_order == "hwc" and x.is_unfolded and dims == [*range(2, rank + 1), 1]:
        x.features.mark("chw")
        return TracedValue(FlatFeatures(), "hwc")
    if x.map_order == "hwc" and dims == [rank, *range(1, rank)]:
        return TracedValue(FlatFeatures(), "chw")
    if x.map_order == "chw" and dims == [*range(2, rank + 1), 1]:
        return TracedValue(FlatFeatures(), "hwc")
    return unknown()
