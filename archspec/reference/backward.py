"""Derivatives of a graph: the cotangent of each head, taken back through one op's `vjp` after the other.

>>> import archspec, numpy as np
>>> from archspec.weights.init import initial_tensors
>>> graph = archspec.load("lenet5").graph
>>> found = gradients(graph, initial_tensors(graph, seed=0), np.zeros((2, *graph.input)), lambda outputs: outputs)
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
    """Derivatives of the loss that `cotangents` stands for, with respect to x and to every trainable tensor.

    What the loss does not depend on has zeros. Raises ValueError where `run` does, where `cotangents` gives what fits no
    head, and where dropout drops.
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
    """The way back of a run that kept its activations. It empties them: each is let go after its last use."""
    values = {
        node.index: result.activations.pop(node.path)
        for node in graph.nodes
        if node.path in result.activations
    }
    waiting = _cotangents(graph, result, cotangents)
    waiting.setdefault(0, np.zeros_like(values[0]))
    found = {
        name: np.zeros(param.shape) for name, _, param in graph.parameters() if param.trainable
    }
    for index in sorted(values, reverse=True)[:-1]:  # all but the input
        del values[index]
        if index not in waiting:
            continue
        node = graph.nodes[index]
        inputs, tensors = [values[i] for i in node.inputs], node_tensors(graph, node, params)
        cotangent = mode.perturb(waiting.pop(index))
        shares, own = node.op.vjp(inputs, tensors, mode.for_node(node.path), cotangent)
        found.update({f"{node.path}.{role}": share for role, share in own.items()})
        for i, share in zip(node.inputs, shares, strict=True):
            waiting[i] = waiting[i] + share if i in waiting else share
    return Gradients(result.outputs, waiting[0], found)


def _cotangents(graph: Graph, result: ForwardResult, pull: OutputCotangents) -> dict[int, Array]:
    """The derivative of the loss with respect to each head, by node; heads may share one."""
    found: dict[int, Array] = {}
    nodes = {head.name: head.node for head in graph.heads}
    for name, given in pull(result.outputs).items():
        if name not in result.outputs:
            heads = ", ".join(quote(head) for head in result.outputs)
            raise ValueError(f"a derivative is given for {quote(name)}, the heads are {heads}")
        share, output = np.asarray(given, dtype=np.float64), result.outputs[name]
        if share.shape != output.shape:
            raise ValueError(
                f"the derivative of {quote(name)} is {list(output.shape)}, found {list(share.shape)}"
            )
        index = nodes[name]
        found[index] = found[index] + share if index in found else share
    return found
