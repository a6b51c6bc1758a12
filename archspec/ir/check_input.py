"""The input of checks: a graph, and locations in the text of its spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archspec.diagnostics import Span
from archspec.ir.document import Document
from archspec.ir.graph import Graph


@dataclass(frozen=True)
class CheckInput:
    """A network with its sections.

    `unused_*` are names with their locations, `heads` and `errata` locations by name. `overridden`
    is set if the command line or the caller changed what the file says.
    """

    graph: Graph
    document: Document
    unused_arguments: tuple[tuple[str, Span], ...]
    unused_blocks: tuple[tuple[str, Span], ...]
    heads: Mapping[str, Span]
    errata: Mapping[str, Span]
    claims: Span
    overridden: bool = False
