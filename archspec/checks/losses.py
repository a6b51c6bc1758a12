"""Losses: each takes the values that its head computes, and a class per sample can train it."""

from __future__ import annotations

import math

from archspec.checks.registry import check
from archspec.diagnostics import Note, Report, Span, quote
from archspec.ir.check_input import CheckInput
from archspec.ir.graph import Graph, Head, Node
from archspec.ir.types import format_shape

SQUASHING = ("softmax", "sigmoid", "hard_sigmoid")
"""Activations that a class loss applies itself, or that stand for one that it does."""
KEEPING = ("flatten", "reshape", "dropout", "identity")
"""Ops that hand values on; a loss sees those from before them."""
CLASS_LOSSES = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}
"""The activation that each class loss applies."""


@check("AS0670")
def trainable_losses(spec: CheckInput, report: Report) -> None:
    """AS0670: a loss that `train` has no data for; a note for a spec without a recipe."""
    main = spec.graph.heads[0]
    if spec.document.train is not None and main.loss == "none":
        message = "the main head has no loss, so the recipe cannot train it"
        help = "state one, as in `heads: {main: {loss: cross_entropy}}`"
        report.warning("AS0670", _loss_span(spec, main), message, help=help)
    for head in spec.graph.heads:
        reason = untrainable_reason(head, spec.graph)
        if not reason or not _is_stated(spec, head):
            continue
        report.error(
            "AS0670",
            _loss_span(spec, head),
            f"the head {quote(head.name)} can be built and verified, but not trained yet: {reason}",
            help=untrainable_help(head, spec.graph),
            severity="note" if spec.document.train is None else "warning",
        )


def untrainable_reason(head: Head, graph: Graph) -> str:
    """Return why one class per sample cannot train a head; empty if it can."""
    shape = graph.nodes[head.node].shape
    if head.loss == "mse":
        return "its loss `mse` takes numbers"
    if head.loss != "none" and len(shape) > 1:
        return f"its loss is at every position of {format_shape(shape)}"
    return ""


def untrainable_help(head: Head, graph: Graph) -> str:
    """Return the way out for a head that `untrainable_reason` is about."""
    shape = graph.nodes[head.node].shape
    if head.loss != "mse" and math.prod(shape[1:]) == 1:
        return "end it with `flatten`"
    return "`archspec train` takes one class per sample; state `loss: none` for a head without one"


@check("AS0673")
def activation_before_loss(spec: CheckInput, report: Report) -> None:
    """AS0673: an activation between the classifier and a loss that applies its own."""
    graph = spec.graph
    for head in graph.heads:
        applied = CLASS_LOSSES.get(head.loss)
        node = _computing(head, graph)
        if applied is None or node.op.family != "activation":
            continue
        # Without a word on losses, only what `run` and `verify` would square is surely a mistake.
        if node.op.kind != "softmax" and not _is_stated(spec, head):
            continue
        if node.op.kind in SQUASHING:
            message = f"{quote(head.loss)} takes values from before the {quote(applied)}"
        else:
            message = f"{quote(head.loss)} takes any value, and {quote(node.op.kind)} cuts some off"
        report.warning(
            "AS0673",
            node.span,
            f"{message}, and this is the output of the head {quote(head.name)}",
            notes=[Note("its loss is stated", span)] if (span := _stated_span(spec, head)) else [],
            help=f"remove {quote(node.op.kind)}: the loss applies a {applied}, and so does "
            "`archspec run`; or state `loss: none`",
        )


@check("AS0678")
def single_class(spec: CheckInput, report: Report) -> None:
    """AS0678: a cross-entropy over one class, which is 0 whatever the network computes."""
    for head in spec.graph.heads:
        width = spec.graph.nodes[head.node].shape[0]
        if head.loss == "cross_entropy" and width == 1 and _is_stated(spec, head):
            message = f"the head {quote(head.name)} has one class: its cross-entropy is always 0"
            help = (
                "state `loss: binary_cross_entropy` with `classes: 2` to tell two classes by one "
                "output, `loss: mse` for a number, or make it as wide as there are classes"
            )
            report.warning("AS0678", _loss_span(spec, head), message, help=help)


def _computing(head: Head, graph: Graph) -> Node:
    """Return the node that computes a head's values."""
    node = graph.nodes[head.node]
    while node.op.kind in KEEPING:
        node = graph.nodes[node.inputs[0]]
    return node


def _is_stated(spec: CheckInput, head: Head) -> bool:
    """Return whether the spec means the head to be trained: it says so, or has a recipe."""
    return spec.document.train is not None or _stated_span(spec, head) is not None


def _stated_span(spec: CheckInput, head: Head) -> Span | None:
    """Return where a head states its loss or classes; None if it states neither."""
    return _span_of(spec, head, "loss") or _span_of(spec, head, "classes")


def _loss_span(spec: CheckInput, head: Head) -> Span:
    """Return where a head's loss is stated, or else the step that computes the head."""
    return _span_of(spec, head, "loss") or spec.graph.nodes[head.node].span


def _span_of(spec: CheckInput, head: Head, key: str) -> Span | None:
    form = spec.document.heads.get(head.name)
    if form is None or key not in form.model_fields_set:
        return None
    return spec.find_span(("heads", head.name, key), False)
