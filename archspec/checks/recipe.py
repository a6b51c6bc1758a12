"""The recipe: its patterns fit tensors of the network, its batches and images the layers."""

from __future__ import annotations

import math

from archspec._patterns import matches
from archspec.backend.trainer import frozen_batch_norms, microbatches, unused_patterns
from archspec.checks.registry import check
from archspec.diagnostics import Failure, Note, Report, quote
from archspec.ir.check_input import CheckInput
from archspec.ir.recipe import Augment
from archspec.ir.types import format_shape

MAX_MATCHES = 2_000_000
"""Tensors times patterns that are compared; beyond it, `train` alone compares them."""


def _is_long(spec: CheckInput) -> bool:
    """Return True if there are too many tensors and patterns to compare."""
    recipe = spec.document.train
    patterns = len(recipe.freeze) + len(recipe.lr_multipliers) if recipe else 0
    return patterns * sum(1 for _ in spec.graph.parameters()) > MAX_MATCHES


@check("AS0470", "AS0471")
def recipe_patterns(spec: CheckInput, report: Report) -> None:
    """AS0470 and AS0471: patterns without an effect, or that freeze half of a batch norm."""
    recipe = spec.document.train
    if recipe is None or not (recipe.freeze or recipe.lr_multipliers):
        return
    if _is_long(spec):
        return
    for key, pattern, message, help in unused_patterns(recipe, spec.graph):
        is_factor = key == "lr_multipliers"
        part = pattern if is_factor else recipe.freeze.index(pattern)
        span = spec.find_span(("train", key, part), is_factor)
        report.error("AS0470", span, message, help=help, severity=spec.severity_at(span))
    try:
        frozen_batch_norms(recipe, spec.graph)
    except Failure as failure:
        span = spec.find_span(("train", "freeze"), False)
        severity = spec.severity_at(span)
        report.error("AS0471", span, failure.message, help=failure.help, severity=severity)


@check("AS0472")
def augment_takes_images(spec: CheckInput, report: Report) -> None:
    """AS0472: an `augment` for an input that is not an image."""
    recipe, shape = spec.document.train, spec.graph.input
    if recipe is None or recipe.augment == Augment():
        return
    if len(shape) != 3 or shape[0] not in (1, 3):
        span = spec.find_span(("train", "augment"), True)
        report.error(
            "AS0472",
            span,
            f"`augment` varies images, and the input is {format_shape(shape)}",
            help="remove it: data of other values are used as they are",
            severity=spec.severity_at(span),
        )


@check("AS0473")
def something_is_trained(spec: CheckInput, report: Report) -> None:
    """AS0473: a recipe that freezes every tensor, so that it trains nothing."""
    recipe = spec.document.train
    if recipe is None or not recipe.freeze or _is_long(spec):
        return
    tensors = [name for name, _, param in spec.graph.parameters() if param.trainable]
    if tensors and all(matches(name, recipe.freeze) for name in tensors):
        span = spec.find_span(("train", "freeze"), False)
        message = "every tensor is frozen, so nothing is trained"
        report.warning("AS0473", span, message, help="leave out the patterns of what is to learn")


@check("AS0474")
def batches_of_one(spec: CheckInput, report: Report) -> None:
    """AS0474: batches of one sample, of which a batch norm of a vector has no statistics."""
    recipe, graph = spec.document.train, spec.graph
    if recipe is None or recipe.batch is None or recipe.batch > 2 * recipe.accumulate:
        return
    parts = microbatches(recipe.batch, recipe.accumulate)
    if all(part.stop - part.start > 1 for part in parts) or _is_long(spec):
        return
    for index in sorted(graph.reachable(graph.heads)):
        node = graph.nodes[index]
        is_frozen = matches(f"{node.path}.running_mean", recipe.freeze)
        if node.op.kind == "batch_norm" and math.prod(node.shape[1:]) == 1 and not is_frozen:
            span = spec.find_span(("train", "batch"), False)
            report.error(
                "AS0474",
                span,
                f"{quote(node.path)} normalises each channel over the batch, and it is one value",
                notes=[Note("the batch norm", node.span)],
                help="choose a larger `batch`, or a smaller `accumulate`",
                severity=spec.severity_at(span),
            )
            return
