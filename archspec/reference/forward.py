"""Compute a graph in numpy, float64, one op's `reference` after the other.

>>> import archspec, numpy as np
>>> from archspec.weights.init import initial_tensors
>>> graph = archspec.load("lenet5").graph
>>> x, params = np.zeros((2, *graph.input)), initial_tensors(graph, seed=0)
>>> evaluate(graph, params, x).outputs["main"].shape
(2, 10)
"""

from __future__ import annotations

from collections.abc import Mapping

from archspec._numpy import Array, np
from archspec.backend.session import ForwardResult
from archspec.diagnostics import quote
from archspec.ir.graph import Graph, Node
from archspec.ir.op import EvalContext
from archspec.ir.types import format_shape


def evaluate(
    graph: Graph,
    params: Mapping[str, Array],
    x: Array,
    mode: EvalContext | None = None,
    *,
    return_activations: bool = False,
) -> ForwardResult:
    """Compute the heads of a graph on a batch x [N, *input]; train-only heads in train mode alone.

    `params` are tensors by portable name. With `return_activations`, the result has the activation
    of every computed node, in execution order; otherwise a value is freed after its last use. Raise
    ValueError if x or a tensor does not fit.
    """
    mode = mode or EvalContext()
    if x.ndim == 0 or x.shape[1:] != graph.input:
        raise ValueError(f"the input is [N, {format_shape(graph.input)}], found {list(x.shape)}")
    heads = tuple(head for head in graph.heads if mode.train or not head.train_only)
    needed = sorted(graph.reachable(heads))
    last = {i: index for index in needed for i in graph.nodes[index].inputs}
    head_nodes = {head.node for head in heads}
    values: dict[int, Array] = {0: np.asarray(x, dtype=np.float64)}
    updates: dict[str, Array] = {}
    for index in needed:
        node = graph.nodes[index]
        if index:
            state = mode.for_node(node.path)
            values[index] = node.op.reference(
                [values[i] for i in node.inputs], node_tensors(graph, node, params), state
            )
            updates.update(
                {f"{node.path}.{role}": value for role, value in state.running_stats.items()}
            )
        values[index] = mode.perturb(values[index])
        for i in () if return_activations else set(node.inputs):
            if last[i] == index and i not in head_nodes:
                del values[i]
    activations = {graph.nodes[i].path: values[i] for i in needed} if return_activations else {}
    return ForwardResult({head.name: values[head.node] for head in heads}, activations, updates)


def node_tensors(graph: Graph, node: Node, params: Mapping[str, Array]) -> dict[str, Array]:
    """Return a node's tensors by role, in float64; raise ValueError if one does not fit."""
    tensors: dict[str, Array] = {}
    for param in graph.params(node):
        name = f"{node.path}.{param.role}"
        value = params.get(name)
        if value is None or value.shape != param.shape:
            actual = "nothing" if value is None else format_shape(value.shape)
            raise ValueError(f"{quote(name)} is {format_shape(param.shape)}, found {actual}")
        tensors[param.role] = np.asarray(value, dtype=np.float64)
    return tensors
