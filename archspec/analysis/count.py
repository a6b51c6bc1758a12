"""Each layer's parameters and multiply-adds, and which output needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from archspec.graph import Graph, Node, Scope
from archspec.types import Shape


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's share: trainable values, multiply-adds of one sample, values of moving statistics.

    `block` is the block that it was written in, `row` the step of the network that holds it, `head` the train-only head
    that alone needs it; each is empty where there is none.
    """

    node: int
    path: str
    op: str
    output: Shape
    params: int
    macs: int
    moving: int
    block: str
    row: str
    head: str


@dataclass(frozen=True, slots=True)
class HeadStats:
    """An output and what it needs beyond the outputs before it; `on` is the step that it hangs on."""

    name: str
    on: str
    output: Shape
    params: int
    macs: int
    train_only: bool


def layers(graph: Graph) -> Iterator[Layer]:
    """Every layer that some output needs, in execution order."""
    known: dict[object, tuple[int, int, int]] = {}  # equal layers on equal inputs are counted once
    owner = _owners(graph)
    for node in graph.nodes[1:]:
        if (head := owner.get(node.index)) is None:
            continue
        key = (node.op, inputs := graph.inputs(node))
        if key not in known:
            params = node.op.params(*inputs)
            trainable, moving = (sum(p.size for p in params if p.trainable == t) for t in (True, False))
            known[key] = trainable, node.op.macs(*inputs), moving
        block = next((scope.block for scope in node.scope.chain() if scope.block), "")
        row = step(node).name
        yield Layer(node.index, node.path, node.op.kind, node.shape, *known[key], block, row, head)


def step(node: Node) -> Node | Scope:
    """The step of the network itself that a node belongs to."""
    scope = node.scope
    if scope.parent is None:
        return node
    while scope.parent.parent is not None:
        scope = scope.parent
        assert scope.parent is not None
    return scope


def heads(graph: Graph, layers: tuple[Layer, ...]) -> Iterator[HeadStats]:
    """The outputs, those of the inference graph first; the shares of all add up to the whole."""
    by_node, seen = {layer.node: layer for layer in layers}, {0}
    for head in sorted(graph.heads, key=lambda head: head.train_only):
        own = [by_node[i] for i in graph.reachable((head,)) - seen if i in by_node]
        entry = {i for layer in own for i in graph.nodes[layer.node].inputs} & seen - {0}
        seen.update(layer.node for layer in own)
        on = step(graph.nodes[max(entry)]).name if entry else ""
        params, macs = sum(layer.params for layer in own), sum(layer.macs for layer in own)
        yield HeadStats(head.name, on, graph.nodes[head.node].shape, params, macs, head.train_only)


def _owners(graph: Graph) -> dict[int, str]:
    """The train-only head that alone needs a node, "" in the inference graph; nodes that nothing needs are left out."""
    owner = dict.fromkeys(graph.inference, "")
    for head in graph.heads:
        for index in graph.reachable((head,)):
            owner.setdefault(index, head.name)
    return owner
