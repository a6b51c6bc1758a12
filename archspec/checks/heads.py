"""Heads: each classifier is as wide as the classes it tells apart."""

from __future__ import annotations

from archspec.diagnostics import Note, Report, quote
from archspec.ir.check_input import CheckInput
from archspec.ir.graph import Head
from archspec.ir.types import format_shape

CLASSIFIES = ("cross_entropy", "binary_cross_entropy")


def classifier_width(spec: CheckInput, report: Report) -> None:
    """AS0309: by its `classes`, or by the main head's width where it states none and has the same loss."""
    graph = spec.graph
    main = graph.heads[0]
    for head in graph.heads:
        node = graph.nodes[head.node]
        if head.loss not in CLASSIFIES:
            continue
        wanted = head.classes
        if wanted is None and head.loss == main.loss:
            wanted = main.classes or graph.nodes[main.node].shape[0]
        if wanted is None or node.shape[0] in _widths(head, wanted):
            continue
        message = f"the head {quote(head.name)} tells {wanted} classes apart, its output is {format_shape(node.shape)}"
        help = f"make its last layer {wanted} wide, or state its `classes`"
        place = spec.heads.get(head.name, node.span)
        report.error(
            "AS0309", place, message, notes=[Note("its output is computed", node.span)], help=help
        )


def _widths(head: Head, classes: int) -> tuple[int, ...]:
    """Two classes may share one logit under binary cross-entropy."""
    return (classes, 1) if head.loss == "binary_cross_entropy" and classes == 2 else (classes,)
