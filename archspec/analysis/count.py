"""Each layer's parameters and multiply-adds, and which output needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from archspec.ir.graph import Graph, Node, Scope
from archspec.ir.op import Op
from archspec.ir.types import Shape


class Layer(NamedTuple):
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
    owner, place = _owners(graph), cache(_place)
    for node in graph.nodes[1:]:
        if (head := owner.get(node.index)) is None:
            continue
        cost = _cost(node.op, *graph.inputs(node))
        block, row = place(node.scope)
        yield Layer(
            node.index, node.path, node.op.kind, node.shape, *cost, block, row or node.name, head
        )


@lru_cache(maxsize=2**12)
def _cost(op: Op, *inputs: Shape) -> tuple[int, int, int]:
    """Trainable values, multiply-adds and moving statistics; equal layers on equal inputs are counted once."""
    params = op.params(*inputs)
    trainable, moving = (sum(p.size for p in params if p.trainable == t) for t in (True, False))
    return trainable, op.macs(*inputs), moving


def _place(scope: Scope) -> tuple[str, str]:
    """The block that a scope is written in and the step of the network that holds it; empty in the network itself."""
    chain = list(scope.chain())
    return next((around.block for around in chain if around.block), ""), chain[-2].name if len(
        chain
    ) > 1 else ""


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
