"""Figures of a network without running it: counts, memory, receptive fields, a paper's claims."""

from __future__ import annotations

from typing import Protocol

from archspec.ir.graph import Graph


class HasGraph(Protocol):
    """A spec, or anything else that carries a network."""

    @property
    def graph(self) -> Graph: ...


def graph_of(subject: Graph | HasGraph) -> Graph:
    """Return the network of a spec, or the graph itself."""
    return subject if isinstance(subject, Graph) else subject.graph
