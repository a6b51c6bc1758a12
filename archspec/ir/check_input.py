"""The input of checks: a graph, and locations in the text of its spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from archspec.diagnostics import Severity, Span
from archspec.ir.document import Document
from archspec.ir.graph import Graph

OVERRIDE = "--set"
"""The name of the source of an override."""


@dataclass(frozen=True)
class CheckInput:
    """A network with its sections.

    `unused_*` are names with their locations, `heads` and `errata` locations by name. `find_span`
    gives the location of a part of a section, as in `find_span(("train", "freeze", 0), False)`, or
    of its key if the flag is set. `overridden` is set if the command line or the caller changed
    what the file says.
    """

    graph: Graph
    document: Document
    unused_arguments: tuple[tuple[str, Span], ...]
    unused_blocks: tuple[tuple[str, Span], ...]
    heads: Mapping[str, Span]
    errata: Mapping[str, Span]
    claims: Span
    find_span: Callable[[tuple[Any, ...], bool], Span]
    overridden: bool = False

    def severity_at(self, span: Span) -> Severity:
        """Return the severity of a section that does not fit the network.

        It is an error where the spec itself or an override states the section. One that a variant
        inherits, or that an override left behind, is a warning: most of what the spec is used for
        does not read it.
        """
        file = self.graph.root.span.source
        is_own = span.source is file and not self.overridden
        return "error" if is_own or span.source.name == OVERRIDE else "warning"
