"""How Keras holds every tensor of a graph: which layer, under which name, of which shape, with which axis where."""

from __future__ import annotations

from collections.abc import Mapping

from archspec.backend import TensorLayout
from archspec.codegen.lowering import Module
from archspec.ir.graph import Graph, Node
from archspec.ir.op import ParamSpec
from archspec_keras.lowerings import lower
from archspec_keras.paths import Paths

_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def natives(graph: Graph) -> Mapping[str, TensorLayout]:
    """By neutral name; a tensor is called `LAYER/variable` in Keras."""
    paths = Paths(graph)
    return {
        name: _native(graph, paths.layer(node), node, param)
        for name, node, param in graph.parameters()
    }


def _native(graph: Graph, layer: str, node: Node, param: ParamSpec) -> TensorLayout:
    shape, axes = param.shape, range(len(param.shape))
    if node.op.kind == "prelu":
        rank = len(graph.inputs(node)[0]) - 1
        return TensorLayout(f"{layer}/alpha", (*(1,) * rank, *shape))
    if node.op.family == "norm":
        order = (*axes[1:], 0)
        return TensorLayout(
            f"{layer}/{_NORM[param.role]}", tuple(shape[axis] for axis in order), order
        )
    if param.role == "bias":
        return TensorLayout(f"{layer}/bias", shape)
    order = (*axes[2:], 1, 0)
    native = tuple(shape[axis] for axis in order)
    (entering,) = graph.inputs(node)
    lowered = lower(node.op, entering)
    if isinstance(lowered, Module) and lowered.target.startswith("layers.Depthwise"):
        native = (*native[:-2], entering[0], shape[0] // entering[0])
    return TensorLayout(f"{layer}/kernel", native, order)
