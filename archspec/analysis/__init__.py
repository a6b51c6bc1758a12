"""What can be said of a network without running it: counts, memory, receptive fields, a paper's claims."""

from __future__ import annotations

from typing import Protocol

from archspec.ir.graph import Graph


class HasGraph(Protocol):
    """A spec, or whatever else carries a network."""

    @property
    def graph(self) -> Graph: ...


def graph_of(subject: Graph | HasGraph) -> Graph:
    """The network itself, of a spec or of a graph."""
    return subject if isinstance(subject, Graph) else subject.graph
