"""Parameters and multiply-adds of each layer, and the output that needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

from archspec.ir.graph import Graph, Node, Scope
from archspec.ir.op import Op
from archspec.ir.types import Shape


class LayerStats(NamedTuple):
    """One layer: trainable values, multiply-adds of one sample, values of running statistics.

    `block` is the block that it was written in, `row` the step of the network that holds it, and
    `head` the train-only head that alone needs it; each is empty where there is none.
    """

    node: int
    path: str
    op: str
    output: Shape
    params: int
    macs: int
    running_stats: int
    block: str
    row: str
    head: str


@dataclass(frozen=True, slots=True)
class HeadStats:
    """An output and what it adds to the outputs before it; `on` is the step that it reads."""

    name: str
    on: str
    output: Shape
    params: int
    macs: int
    train_only: bool


def layers(graph: Graph) -> Iterator[LayerStats]:
    """Yield every layer that some output needs, in execution order."""
    owner = _owners(graph)
    block_and_row = cache(_block_and_row)
    for node in graph.nodes[1:]:
        head = owner.get(node.index)
        if head is None:
            continue
        params, macs, running_stats = _cost(node.op, *graph.inputs(node))
        block, row = block_and_row(node.scope)
        yield LayerStats(
            node=node.index,
            path=node.path,
            op=node.op.kind,
            output=node.shape,
            params=params,
            macs=macs,
            running_stats=running_stats,
            block=block,
            row=row or node.name,
            head=head,
        )


# Deep networks repeat a few layers hundreds of times; each distinct one is counted once.
@lru_cache(maxsize=2**12)
def _cost(op: Op, *inputs: Shape) -> tuple[int, int, int]:
    """Return trainable values, multiply-adds and values of running statistics."""
    params = op.params(*inputs)
    trainable = sum(p.size for p in params if p.trainable)
    running_stats = sum(p.size for p in params if not p.trainable)
    return trainable, op.macs(*inputs), running_stats


def _block_and_row(scope: Scope) -> tuple[str, str]:
    """Return the block a scope is written in and the network's step that holds it, or ""."""
    chain = list(scope.chain())
    block = next((around.block for around in chain if around.block), "")
    row = chain[-2].name if len(chain) > 1 else ""
    return block, row


def step(node: Node) -> Node | Scope:
    """Return the step of the network itself that a node belongs to."""
    scope = node.scope
    if scope.parent is None:
        return node
    while scope.parent.parent is not None:
        scope = scope.parent
        assert scope.parent is not None
    return scope


def heads(graph: Graph, layers: tuple[LayerStats, ...]) -> Iterator[HeadStats]:
    """Yield the outputs, those of the inference graph first; their figures add up to the whole."""
    by_node = {layer.node: layer for layer in layers}
    seen = {0}
    for head in sorted(graph.heads, key=lambda head: head.train_only):
        added = [by_node[i] for i in graph.reachable((head,)) - seen if i in by_node]
        entry = {i for layer in added for i in graph.nodes[layer.node].inputs} & seen - {0}
        seen.update(layer.node for layer in added)
        yield HeadStats(
            name=head.name,
            on=step(graph.nodes[max(entry)]).name if entry else "",
            output=graph.nodes[head.node].shape,
            params=sum(layer.params for layer in added),
            macs=sum(layer.macs for layer in added),
            train_only=head.train_only,
        )


def _owners(graph: Graph) -> dict[int, str]:
    """Return the train-only head that alone needs a node, or "" in the inference graph.

    Nodes that no output needs are left out.
    """
    owner = dict.fromkeys(graph.inference, "")
    for head in graph.heads:
        for index in graph.reachable((head,)):
            owner.setdefault(index, head.name)
    return owner
