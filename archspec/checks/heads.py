"""Heads: each classifier is as wide as its number of classes."""

from __future__ import annotations

from archspec.checks.registry import check
from archspec.diagnostics import Note, Report, quote
from archspec.ir.check_input import CheckInput
from archspec.ir.graph import Graph, Head
from archspec.ir.types import format_shape

CLASSIFICATION_LOSSES = ("cross_entropy", "binary_cross_entropy")


@check("AS0309")
def classifier_width(spec: CheckInput, report: Report) -> None:
    """AS0309: a classifier whose width differs from its number of classes."""
    graph = spec.graph
    for head in graph.heads:
        classes = _expected_classes(head, graph)
        node = graph.nodes[head.node]
        if classes is None or node.shape[0] in _widths(head, classes):
            continue
        output = format_shape(node.shape)
        report.error(
            "AS0309",
            spec.heads.get(head.name, node.span),
            f"the head {quote(head.name)} has {classes} classes, but its output is {output}",
            notes=[Note("its output is computed", node.span)],
            help=f"make its last layer {classes} wide, or state its `classes`",
        )


def _expected_classes(head: Head, graph: Graph) -> int | None:
    """Return a head's `classes`; by default the main head's, or its width, if the loss is equal."""
    if head.loss not in CLASSIFICATION_LOSSES:
        return None
    main = graph.heads[0]
    if head.classes is not None or head.loss != main.loss:
        return head.classes
    return main.classes or graph.nodes[main.node].shape[0]


def _widths(head: Head, classes: int) -> tuple[int, ...]:
    """Return the widths that fit; two classes may share one logit under binary cross-entropy."""
    return (classes, 1) if head.loss == "binary_cross_entropy" and classes == 2 else (classes,)
