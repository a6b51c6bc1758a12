"""The features of a network that a channels-last copy of it lists in another order.

Where a map is flattened, or a vector reshaped to a map, our order is C,H,W and that of a
channels-last framework H,W,C. The layers beside it have their weights in that order.

>>> import archspec
>>> graph = archspec.load("lenet5", sets=["input=[1, 36, 36]"]).graph
>>> {graph.nodes[index].name: order.size for index, order in channels_last_orders(graph).items()}
{'flatten': 480}
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from archspec._numpy import Array, np
from archspec.ir.graph import Graph, Node
from archspec.ir.types import Shape

Orders = Mapping[int, Array]
"""By node, our index of each feature of its vector, in the channels-last order."""


def channels_last_orders(graph: Graph) -> dict[int, Array]:
    """Return the order of every vector that a channels-last copy has in another order."""
    orders: dict[int, Array] = {}
    for node in graph.nodes:
        if node.op.kind == "reshape" and len(node.shape) > 1:
            _order_maker(graph, node, orders)
        elif len(node.shape) == 1 and node.inputs:
            order = _inherited(graph, node, orders)
            if order is not None:
                orders[node.index] = order
    return orders


def to_ours(values: Array, axis: int, order: Array | None) -> Array:
    """Return a channels-last tensor with the features along an axis in our order."""
    return values if order is None else np.take(values, np.argsort(order), axis)


def _flattening(shape: Shape) -> Array | None:
    """Return our index of each value of a map, channels last; None if the order is the same."""
    if len(shape) < 2 or shape[0] == 1 or math.prod(shape[1:]) == 1:
        return None
    return np.moveaxis(np.arange(math.prod(shape)).reshape(shape), 0, -1).ravel()


def _inherited(graph: Graph, node: Node, orders: Orders) -> Array | None:
    """Return the order that a vector has from its inputs."""
    shapes = graph.inputs(node)
    if node.op.kind in ("flatten", "reshape") and len(shapes[0]) > 1:
        return _flattening(shapes[0])
    if node.op.kind == "concat" and any(index in orders for index in node.inputs):
        return _joined(
            [orders.get(index, np.arange(graph.nodes[index].shape[0])) for index in node.inputs]
        )
    if _is_elementwise(graph, node):
        return next((orders[index] for index in node.inputs if index in orders), None)
    return None


def _joined(orders: list[Array]) -> Array:
    starts = np.cumsum([0, *(order.size for order in orders)])
    return np.concatenate([order + start for order, start in zip(orders, starts[:-1], strict=True)])


def _is_elementwise(graph: Graph, node: Node) -> bool:
    same = all(shape == node.shape for shape in graph.inputs(node))
    return same and node.op.family not in ("linear", "conv", "input")


def _order_maker(graph: Graph, reshape: Node, orders: dict[int, Array]) -> None:
    """Give the vector that a reshape makes a map of the order of that map's values."""
    order = _flattening(reshape.shape)
    node = graph.nodes[reshape.inputs[0]]
    while order is not None and len(node.shape) == 1 and node.index not in orders:
        orders[node.index] = order
        if node.op.kind == "linear" or not node.inputs or not _is_elementwise(graph, node):
            return
        node = graph.nodes[node.inputs[0]]
