"""Bytes of float32 that a network needs for a batch: its parameters, and its activations in inference and in training.

Every layer's output is counted as a buffer of its own: nothing runs in place, no buffer is an alias of another, and the
scratch memory of a framework's kernels is not counted. What a framework takes is therefore somewhat less or more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archspec.analysis import HasGraph, graph_of
from archspec.analysis.count import layers
from archspec.ir.graph import Graph

BYTES = 4


@dataclass(frozen=True, slots=True)
class Memory:
    """All in bytes.

    `params` and `moving`: trainable values and moving statistics of the inference graph.
    `peak`: the most that is alive at one time in inference: while a layer computes, its output, and every value before
    it (the input too) that it or a later layer still reads; `peak_node` is that layer.
    `training`: the input and every layer's output, train-only heads included, all kept for the backward pass.
    Parameters, their gradients, the gradients of activations and an optimizer's state come on top.
    `outputs`, `alive`: by node, its own output, and what is alive while it computes (0 outside the inference graph).
    """

    batch: int
    params: int
    moving: int
    peak: int
    peak_node: int
    training: int
    outputs: tuple[int, ...]
    alive: tuple[int, ...]


def memory(subject: Graph | HasGraph, batch: int = 1) -> Memory:
    """The memory of a spec or a graph for `batch` samples."""
    graph = graph_of(subject)
    needed = graph.reachable(graph.heads)
    outputs = tuple(
        BYTES * batch * math.prod(node.shape) if node.index in needed else 0 for node in graph.nodes
    )
    alive = _alive(graph, outputs)
    peak_node = max(range(len(alive)), key=alive.__getitem__)
    inference = [layer for layer in layers(graph) if not layer.head]
    params, moving = (
        BYTES * sum(layer.params for layer in inference),
        BYTES * sum(layer.moving for layer in inference),
    )
    return Memory(batch, params, moving, alive[peak_node], peak_node, sum(outputs), outputs, alive)


def _alive(graph: Graph, outputs: tuple[int, ...]) -> tuple[int, ...]:
    """What is alive while each node computes: a value is born there and dies after its last reader."""
    nodes = [node for node in graph.nodes if node.index in graph.inference]
    last = {node.index: node.index for node in nodes}
    for node in nodes:
        last.update(dict.fromkeys(node.inputs, node.index))
    for head in graph.heads:
        if not head.train_only:
            last[head.node] = len(graph.nodes)
    dying: dict[int, list[int]] = {}
    for index, reader in last.items():
        dying.setdefault(reader, []).append(index)
    now, alive = 0, [0] * len(graph.nodes)
    for node in nodes:
        now += outputs[node.index]
        alive[node.index] = now
        now -= sum(outputs[index] for index in dying.get(node.index, ()))
    return tuple(alive)
