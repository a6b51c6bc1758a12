"""Pools that took in their whole map at the input that their file states, and no longer do."""

from __future__ import annotations

from collections.abc import Mapping

from archspec.diagnostics import Note, Report, Source, quote
from archspec.frontend.graph_builder import GraphBuilder
from archspec.ir.graph import Node
from archspec.ir.types import Shape, format_shape
from archspec.ops.pool import AvgPool, MaxPool

GLOBAL_POOLS = {"avg_pool": "global_avg_pool", "max_pool": "global_max_pool"}


def report_uncovered_pools(
    graph: GraphBuilder,
    stated: Mapping[Source, GraphBuilder],
    shapes: Mapping[Source, Shape],
    report: Report,
) -> None:
    """AS0672: warn of each pool whose window covers its map in `stated`, and not in `graph`.

    `stated` are the same network at the input of each file, and `shapes` those inputs.
    """
    covering = {source: _covering(built) for source, built in stated.items()}
    for node in graph.nodes:
        origin = graph.origins[node.index]
        if origin is None or not isinstance(node.op, AvgPool | MaxPool) or _covers(graph, node):
            continue
        step, frame = origin
        kernel = frame.origin(step.arguments["kernel"])
        source = kernel.tree.source
        if node.path not in covering.get(source, ()):
            continue
        before = stated[source].nodes[covering[source][node.path].inputs[0]].shape
        after = graph.nodes[node.inputs[0]].shape
        window = format_shape(node.op.sliding_window(after).kernel)
        message = (
            f"the window of {window} of {quote(node.path)} covered its map of "
            f"{format_shape(before[1:])}, and does not cover {format_shape(after[1:])}"
        )
        notes = (
            Note(f"it is stated for an input of {format_shape(shapes[source])}"),
            *frame.call_stack(),
        )
        help = f"use {quote(GLOBAL_POOLS[node.op.kind])}, which fits any input"
        report.warning("AS0672", kernel.span, message, notes=notes, help=help)


def _covering(graph: GraphBuilder) -> dict[str, Node]:
    """Return the pools whose window covers their map, by path."""
    return {node.path: node for node in graph.nodes if _covers(graph, node)}


def _covers(graph: GraphBuilder, node: Node) -> bool:
    """Return True for a pool whose window covers its map."""
    if not isinstance(node.op, AvgPool | MaxPool):
        return False
    return node.op.sliding_window(graph.nodes[node.inputs[0]].shape).covers_all
