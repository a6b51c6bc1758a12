"""Bytes of float32 that a network needs for a batch: parameters, and activations in both modes.

Every layer's output counts as a buffer of its own: nothing runs in place, no buffer aliases
another, and the scratch memory of a framework's kernels is left out. A framework therefore takes
somewhat less or more.
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
    """Bytes that a network needs for `batch` samples.

    `params` and `running_stats` are those of the inference graph. `peak` is the most that is alive
    at one time in inference, while `peak_node` computes: its output, and every earlier value (the
    input too) that it or a later layer still reads. `training` is the input and every layer's
    output, train-only heads included, all kept for the backward pass; parameters, gradients and
    optimizer state come on top. By node, `outputs` is its own output and `alive` is what is alive
    while it computes (0 outside the inference graph).
    """

    batch: int
    params: int
    running_stats: int
    peak: int
    peak_node: int
    training: int
    outputs: tuple[int, ...]
    alive: tuple[int, ...]


def memory(subject: Graph | HasGraph, batch: int = 1) -> Memory:
    """Return the memory of a spec or a graph for `batch` samples."""
    graph = graph_of(subject)
    needed = graph.reachable(graph.heads)
    outputs = tuple(
        BYTES * batch * math.prod(node.shape) if node.index in needed else 0 for node in graph.nodes
    )
    alive = _alive(graph, outputs)
    peak_node = max(range(len(alive)), key=alive.__getitem__)
    inference = [layer for layer in layers(graph) if not layer.head]
    return Memory(
        batch=batch,
        params=BYTES * sum(layer.params for layer in inference),
        running_stats=BYTES * sum(layer.running_stats for layer in inference),
        peak=alive[peak_node],
        peak_node=peak_node,
        training=sum(outputs),
        outputs=outputs,
        alive=alive,
    )


def _alive(graph: Graph, outputs: tuple[int, ...]) -> tuple[int, ...]:
    """Return the bytes alive while each node computes: a value dies after its last reader."""
    nodes = [node for node in graph.nodes if node.index in graph.inference]
    last_reader = {node.index: node.index for node in nodes}
    for node in nodes:
        last_reader.update(dict.fromkeys(node.inputs, node.index))
    for head in graph.heads:
        if not head.train_only:
            last_reader[head.node] = len(graph.nodes)  # the caller reads it, after every node

    dying: dict[int, list[int]] = {}
    for index, reader in last_reader.items():
        dying.setdefault(reader, []).append(index)

    now = 0
    alive = [0] * len(graph.nodes)
    for node in nodes:
        now += outputs[node.index]
        alive[node.index] = now
        now -= sum(outputs[index] for index in dying.get(node.index, ()))
    return tuple(alive)
