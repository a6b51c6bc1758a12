"""Sections beside the network: labels, preprocessing and initial values have to fit it."""

from __future__ import annotations

from archspec.checks.registry import check
from archspec.diagnostics import Note, Report, quote
from archspec.ir.check_input import CheckInput
from archspec.ir.types import format_shape


@check("AS0370")
def label_count(spec: CheckInput, report: Report) -> None:
    """AS0370: `labels` that are more or fewer than the main head's classes."""
    labels = spec.document.labels
    if labels is None:
        return
    head = spec.graph.heads[0]
    node = spec.graph.nodes[head.node]
    classes = head.classes or node.shape[0]
    # One logit tells two classes apart.
    if head.loss == "binary_cross_entropy" and classes == 1:
        classes = 2
    if len(labels) != classes:
        span = spec.find_span(("labels",), False)
        plural = "s" if len(labels) != 1 else ""
        message = f"{len(labels)} label{plural} for {classes} class{'es' if classes > 1 else ''}"
        report.error(
            "AS0370",
            span,
            message,
            notes=[Note(f"the output of the network is {format_shape(node.shape)}", node.span)],
            help="give one label per class, in order, or leave them out: `--set labels=null`",
            severity=spec.severity_at(span),
        )


@check("AS0675")
def equal_labels(spec: CheckInput, report: Report) -> None:
    """AS0675: a label that an earlier class has too."""
    first: dict[str, int] = {}
    for index, label in enumerate(spec.document.labels or ()):
        if first.setdefault(label, index) != index:
            message = f"classes {first[label]} and {index} have the same label, {quote(label)}"
            notes = [Note("first given", spec.find_span(("labels", first[label]), False))]
            span = spec.find_span(("labels", index), False)
            report.warning("AS0675", span, message, notes=notes, help="give each its own name")


@check("AS0371")
def preprocess_fits(spec: CheckInput, report: Report) -> None:
    """AS0371: a `preprocess` that makes other values than the network takes."""
    preprocess = spec.document.preprocess
    if preprocess is None:
        return
    for key, message, help in preprocess.misfits(spec.graph.input):
        span = spec.find_span(("preprocess", key), False)
        report.error("AS0371", span, message, help=help, severity=spec.severity_at(span))


@check("AS0677")
def unused_init(spec: CheckInput, report: Report) -> None:
    """AS0677: an entry of this file's `init` that no tensor of the network starts by."""
    if spec.overridden:
        return
    graph = spec.graph
    tensors = {(node.op.kind, param.role) for _, node, param in graph.parameters()}
    kinds = {kind for kind, _ in tensors}
    entries = {(kind, role) for kind, rules in spec.document.init.items() for role in rules}
    for kind, role in sorted(entries - tensors):
        path, what = ("init", kind), "is in the network"
        if kind in kinds:
            path, what = ("init", kind, role), f"has a tensor {quote(role)}"
        span = spec.find_span(path, True)
        if span.source is graph.root.span.source:
            message = f"no {quote(kind)} {what}, so nothing starts by this"
            report.warning("AS0677", span, message, help="remove it")
