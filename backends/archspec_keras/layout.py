"""The layout of every tensor in Keras: its layer and variable, shape, and order of axes."""

from __future__ import annotations

from collections.abc import Mapping

from archspec.backend import TensorLayout
from archspec.codegen.lowering import Module
from archspec.ir.graph import Graph, Node
from archspec.ir.op import ParamSpec
from archspec_keras.lowerings import lower
from archspec_keras.paths import Paths
from archspec_keras.tensor_roles import variable_name


def tensor_layout(graph: Graph) -> Mapping[str, TensorLayout]:
    """Return layouts by portable name; in Keras a tensor is called `LAYER/variable`."""
    paths = Paths(graph)
    return {
        name: _layout(
            graph, f"{paths.layer(node)}/{variable_name(node.op, param.role)}", node, param
        )
        for name, node, param in graph.parameters()
    }


def _layout(graph: Graph, name: str, node: Node, param: ParamSpec) -> TensorLayout:
    shape = param.shape
    if node.op.kind == "prelu":
        # The slope has an axis of size 1 for each position.
        rank = len(graph.inputs(node)[0]) - 1
        return TensorLayout(name, (*(1,) * rank, *shape))
    axes = range(len(shape))
    if node.op.family == "norm":
        order = (*axes[1:], 0)
        return TensorLayout(name, tuple(shape[axis] for axis in order), order)
    if param.role == "bias":
        return TensorLayout(name, shape)
    order = (*axes[2:], 1, 0)
    return TensorLayout(name, _kernel_shape(graph, node, param), order)


def _kernel_shape(graph: Graph, node: Node, param: ParamSpec) -> tuple[int, ...]:
    outer, inner, *window = param.shape
    (x,) = graph.inputs(node)
    lowered = lower(node.op, x)
    if isinstance(lowered, Module) and lowered.target.startswith("layers.Depthwise"):
        channels = x[0]
        return (*window, channels, outer // channels)
    return (*window, inner, outer)
