"""Reduce a graph to what inference needs: no train-only heads, dropout or identities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from archspec.ir.graph import Graph, Node

NO_OPS = ("dropout", "identity")


def inference_graph(graph: Graph) -> Graph:
    """Return a graph that computes the same in eval mode, with the same portable names."""
    nodes: list[Node] = []
    now: dict[int, int] = {}
    for node in graph.nodes:
        if node.index not in graph.inference and node.index:
            continue
        if node.op.kind in NO_OPS:
            now[node.index] = now[node.inputs[0]]
            continue
        now[node.index] = len(nodes)
        nodes.append(replace(node, index=len(nodes), inputs=tuple(now[i] for i in node.inputs)))
    heads = tuple(replace(head, node=now[head.node]) for head in graph.heads if not head.train_only)

    def vary(args: Mapping[str, Any]) -> Graph | None:
        other = graph.vary(args)
        return None if other is None else inference_graph(other)

    return replace(graph, nodes=tuple(nodes), heads=heads, vary=vary)
