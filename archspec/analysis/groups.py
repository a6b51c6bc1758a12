"""Totals over layers: by the network's steps (a paper's rows), by block, or by path in the spec."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from archspec.analysis.count import LayerStats, step
from archspec.ir.graph import Graph, Node, Scope
from archspec.ir.types import Shape


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """Totals over `layers` layers. A row has an output; a block has `count` instances.

    `depth` is the number of layers with parameters on the longest path through the group, or
    through the deepest instance of a block.
    """

    name: str
    type: str
    count: int
    layers: int
    output: Shape
    params: int
    macs: int
    depth: int


def longest(nodes: Iterable[Node], kinds: Collection[str] = ("layer",)) -> dict[int, int]:
    """Return the longest path to each node, in layers of these kinds, among these nodes alone."""
    depth: dict[int, int] = {}
    for node in nodes:
        before = max([depth.get(i, 0) for i in node.inputs], default=0)
        depth[node.index] = before + (node.op.depth in kinds)
    return depth


def rows(graph: Graph, layers: Iterable[LayerStats]) -> Iterator[GroupTotals]:
    """Yield the totals of each step of the network itself, in execution order."""
    by_row: dict[str, list[LayerStats]] = {}
    for layer in layers:
        by_row.setdefault(layer.row, []).append(layer)
    for name, members in by_row.items():
        written = step(graph.nodes[members[0].node])
        kind = (written.block or written.kind) if isinstance(written, Scope) else written.op.kind
        yield _totals(graph, name, kind, [members])


def blocks(graph: Graph, layers: Iterable[LayerStats]) -> Iterator[GroupTotals]:
    """Yield the totals of each block; a layer of a block within a block counts in both."""
    by_block: dict[str, dict[Scope, list[LayerStats]]] = {}
    for layer in layers:
        for scope in graph.nodes[layer.node].scope.chain():
            if scope.block:
                by_block.setdefault(scope.block, {}).setdefault(scope, []).append(layer)
    for name, instances in by_block.items():
        yield _totals(graph, name, "block", list(instances.values()))


def at_paths(
    graph: Graph, layers: Iterable[LayerStats], paths: Collection[str]
) -> dict[str, GroupTotals]:
    """Return the totals of the steps at these paths; a step without a layer has none."""
    by_path: dict[str, list[LayerStats]] = {}
    for layer in layers:
        scopes = graph.nodes[layer.node].scope.chain()
        for path in {layer.path, *(scope.path for scope in scopes)} & set(paths):
            by_path.setdefault(path, []).append(layer)
    return {path: _totals(graph, path, "step", [members]) for path, members in by_path.items()}


def _totals(graph: Graph, name: str, type: str, instances: list[list[LayerStats]]) -> GroupTotals:
    layers = [layer for members in instances for layer in members]
    depths = (longest(graph.nodes[layer.node] for layer in members) for members in instances)
    return GroupTotals(
        name=name,
        type=type,
        count=len(instances),
        layers=len(layers),
        output=layers[-1].output,
        params=sum(layer.params for layer in layers),
        macs=sum(layer.macs for layer in layers),
        depth=max(max(depth.values()) for depth in depths),
    )
