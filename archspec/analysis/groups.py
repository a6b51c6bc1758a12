"""Layers taken together: by the network's steps (a paper's rows), by block, or along any path of the spec."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from archspec.analysis.count import Layer, step
from archspec.ir.graph import Graph, Node, Scope
from archspec.ir.types import Shape


@dataclass(frozen=True, slots=True)
class Group:
    """Totals over `layers` layers. A row has an output; a block has `count` instances.

    `depth` is how many layers with parameters lie on the longest path through it (through the deepest instance).
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
    """How many of these kinds (`layer`, `pool`) lie on the longest path to each node, among these nodes alone."""
    depth: dict[int, int] = {}
    for node in nodes:
        before = max([depth.get(i, 0) for i in node.inputs], default=0)
        depth[node.index] = before + (node.op.depth in kinds)
    return depth


def rows(graph: Graph, layers: Iterable[Layer]) -> Iterator[Group]:
    """One group for each step of the network itself, in execution order."""
    parts: dict[str, list[Layer]] = {}
    for layer in layers:
        parts.setdefault(layer.row, []).append(layer)
    for name, part in parts.items():
        written = step(graph.nodes[part[0].node])
        kind = (written.block or written.kind) if isinstance(written, Scope) else written.op.kind
        yield _group(graph, name, kind, [part])


def blocks(graph: Graph, layers: Iterable[Layer]) -> Iterator[Group]:
    """One group for each block; what stands in a block within a block counts in both."""
    parts: dict[str, dict[Scope, list[Layer]]] = {}
    for layer in layers:
        for scope in graph.nodes[layer.node].scope.chain():
            if scope.block:
                parts.setdefault(scope.block, {}).setdefault(scope, []).append(layer)
    for name, instances in parts.items():
        yield _group(graph, name, "block", list(instances.values()))


def along(graph: Graph, layers: Iterable[Layer], paths: Collection[str]) -> dict[str, Group]:
    """The groups of the steps at these paths; a step without a layer has none."""
    parts: dict[str, list[Layer]] = {}
    for layer in layers:
        scopes = graph.nodes[layer.node].scope.chain()
        for path in {layer.path, *(scope.path for scope in scopes)} & set(paths):
            parts.setdefault(path, []).append(layer)
    return {path: _group(graph, path, "step", [part]) for path, part in parts.items()}


def _group(graph: Graph, name: str, type: str, parts: list[list[Layer]]) -> Group:
    every = [layer for part in parts for layer in part]
    depth = max(max(longest(graph.nodes[layer.node] for layer in part).values()) for part in parts)
    params, macs = sum(layer.params for layer in every), sum(layer.macs for layer in every)
    return Group(name, type, len(parts), len(every), every[-1].output, params, macs, depth)
