"""The recipe: its patterns fit tensors of the network."""

from __future__ import annotations

from archspec.backend.trainer import frozen_batch_norms, unused_patterns
from archspec.checks.registry import check
from archspec.diagnostics import Failure, Report
from archspec.ir.check_input import CheckInput

MAX_MATCHES = 2_000_000
"""Tensors times patterns that are compared; beyond it, `train` alone compares them."""


@check("AS0470", "AS0471")
def recipe_patterns(spec: CheckInput, report: Report) -> None:
    """AS0470 and AS0471: patterns without an effect, or that freeze half of a batch norm."""
    recipe = spec.document.train
    if recipe is None or not (recipe.freeze or recipe.lr_multipliers):
        return
    tensors = sum(1 for _ in spec.graph.parameters())
    if tensors * (len(recipe.freeze) + len(recipe.lr_multipliers)) > MAX_MATCHES:
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
