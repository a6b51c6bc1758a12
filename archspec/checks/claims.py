"""Warnings on the figures that a paper prints: a difference without an erratum, an erratum without a difference."""

from __future__ import annotations

from archspec.analysis.claims import ClaimResult, compare_claims
from archspec.diagnostics import Report, quote
from archspec.ir.check_input import CheckInput


def printed_figures(spec: CheckInput, report: Report) -> None:
    """AS0605 and AS0606, for what the spec's own file prints: a figure of the spec that it extends speaks of that one,
    and none speaks of a network that an override has changed."""
    if spec.overridden or (spec.document.claims is None and not spec.graph.claims):
        return
    own = spec.graph.root.span.source
    for result in compare_claims(spec):
        if result.status in ("differs", "unreadable"):
            if (result.span or spec.claims).source is own:
                _differs(result, spec, report)
        elif result.unneeded or not result.quantity:
            span = spec.errata.get(result.path, spec.claims)
            message = f"the erratum for {quote(result.path)} excuses nothing"
            help = (
                "no figure of that step differs"
                if result.quantity
                else "that step prints no figure"
            )
            if span.source is own:
                report.warning("AS0606", span, message, help=help)


def _differs(result: ClaimResult, spec: CheckInput, report: Report) -> None:
    what = quote(result.path) if result.path else "the network"
    if result.status == "unreadable":
        message = f"the {result.quantity} of {what} cannot be read: {quote(result.printed)}"
        help = "write a number, or one with a unit of `claims: {units: ...}`"
    else:
        message = f"the {result.quantity} of {what} are printed as {quote(result.printed)}, we count {result.ours:,}"
        help = "correct the spec, or say why under `claims: {errata: {STEP: reason}}`"
    report.warning("AS0605", result.span or spec.claims, message, help=help)
