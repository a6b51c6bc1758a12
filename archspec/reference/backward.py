"""Differentiate a graph: take each head's cotangent back through the `vjp` of every op.

>>> import archspec, numpy as np
>>> from archspec.weights.init import initial_tensors
>>> graph = archspec.load("lenet5").graph
>>> x, params = np.zeros((2, *graph.input)), initial_tensors(graph, seed=0)
>>> found = gradients(graph, params, x, lambda outputs: outputs)
>>> found.input.shape, found.tensors["c1.conv.weight"].shape
((2, 1, 32, 32), (6, 1, 5, 5))
"""

from __future__ import annotations

from collections.abc import Mapping

from archspec._numpy import Array, np
from archspec.backend.session import ForwardResult, Gradients, OutputCotangents
from archspec.diagnostics import quote
from archspec.ir.graph import Graph
from archspec.ir.op import EvalContext
from archspec.reference.forward import evaluate, node_tensors


def gradients(
    graph: Graph,
    params: Mapping[str, Array],
    x: Array,
    cotangents: OutputCotangents,
    mode: EvalContext | None = None,
) -> Gradients:
    """Return the derivatives of a loss with respect to x and every trainable tensor.

    `cotangents` gives the derivative of the loss with respect to each output.

    Tensors that the loss does not depend on have zeros. Raise ValueError as `evaluate` does, for
    cotangents that fit no head, and if dropout is on.
    """
    mode = mode or EvalContext()
    return backward(
        graph, params, evaluate(graph, params, x, mode, return_activations=True), cotangents, mode
    )


def backward(
    graph: Graph,
    params: Mapping[str, Array],
    result: ForwardResult,
    cotangents: OutputCotangents,
    mode: EvalContext,
) -> Gradients:
    """Differentiate a forward pass that kept its activations.

    The activations are consumed: each is freed after its last use.
    """
    values = {
        node.index: result.activations.pop(node.path)
        for node in graph.nodes
        if node.path in result.activations
    }
    waiting = _cotangents(graph, result, cotangents)
    waiting.setdefault(0, np.zeros_like(values[0]))
    gradients = {
        name: np.zeros(param.shape) for name, _, param in graph.parameters() if param.trainable
    }
    for index in sorted(values, reverse=True)[:-1]:  # all but the input
        del values[index]
        if index not in waiting:
            continue
        node = graph.nodes[index]
        inputs, tensors = [values[i] for i in node.inputs], node_tensors(graph, node, params)
        cotangent = mode.perturb(waiting.pop(index))
        shares, tensor_shares = node.op.vjp(inputs, tensors, mode.for_node(node.path), cotangent)
        gradients.update({f"{node.path}.{role}": share for role, share in tensor_shares.items()})
        for i, share in zip(node.inputs, shares, strict=True):
            waiting[i] = waiting[i] + share if i in waiting else share
    return Gradients(result.outputs, waiting[0], gradients)


def _cotangents(graph: Graph, result: ForwardResult, pull: OutputCotangents) -> dict[int, Array]:
    """Return the derivative of the loss with respect to each head, by node; heads may share one."""
    by_node: dict[int, Array] = {}
    nodes = {head.name: head.node for head in graph.heads}
    for name, cotangent in pull(result.outputs).items():
        if name not in result.outputs:
            heads = ", ".join(quote(head) for head in result.outputs)
            raise ValueError(f"a derivative is given for {quote(name)}, the heads are {heads}")
        share, output = np.asarray(cotangent, dtype=np.float64), result.outputs[name]
        if share.shape != output.shape:
            raise ValueError(
                f"the derivative of {quote(name)} is {list(output.shape)}, "
                f"found {list(share.shape)}"
            )
        index = nodes[name]
        by_node[index] = by_node[index] + share if index in by_node else share
    return by_node
