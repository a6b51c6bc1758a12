"""Graphs built by hand, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archspec.diagnostics import Source
from archspec.ir.graph import Graph, Head, Input, Node, Scope
from archspec.ir.op import Op
from archspec.ir.types import Shape
from tests.helpers.ops import build

SPAN = Source("by hand", "").start


class Builder:
    """Collects nodes; each reads the one before it unless told otherwise."""

    def __init__(self, *shape: int) -> None:
        self.root = Scope("net", "network", SPAN)
        self.nodes = [Node(0, "input", Input(), (), shape, self.root, SPAN)]

    def scope(self, name: str) -> Scope:
        return Scope(name, "block", SPAN, self.root)

    def add(
        self,
        name: str,
        op: str | Op,
        *inputs: int,
        scope: Scope | None = None,
        init: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> int:
        """Adds a node and returns its index."""
        layer = build(op, **fields) if isinstance(op, str) else op
        read = inputs or (len(self.nodes) - 1,)
        shape: Shape = layer.shape(*(self.nodes[i].shape for i in read))
        node = Node(
            len(self.nodes), name, layer, read, shape, scope or self.root, SPAN, {}, init or {}
        )
        self.nodes.append(node)
        return node.index

    def graph(self, *heads: Head) -> Graph:
        """The graph; its main head is the last node unless heads are given."""
        return Graph(
            "net", tuple(self.nodes), heads or (Head("main", len(self.nodes) - 1),), self.root
        )
