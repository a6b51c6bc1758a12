"""Warnings on a paper's figures: a difference without an erratum, or the other way round."""

from __future__ import annotations

from archspec.analysis.claims import ClaimResult, compare_claims
from archspec.checks.registry import check
from archspec.diagnostics import Report, Span, quote
from archspec.ir.check_input import CheckInput


@check("AS0605", "AS0606")
def printed_figures(spec: CheckInput, report: Report) -> None:
    """AS0605 and AS0606: figures of the spec's own file that differ, and errata without a need.

    Figures of a spec that it extends describe that spec, and no figure describes a network that an
    override has changed.
    """
    if spec.overridden or (spec.document.claims is None and not spec.graph.claims):
        return
    file = spec.graph.root.span.source
    for result in compare_claims(spec):
        if result.status in ("differs", "unreadable"):
            span = result.span or spec.claims
            if span.source is file:
                _warn_of_difference(result, span, report)
        elif result.unneeded or not result.quantity:
            span = spec.errata.get(result.path, spec.claims)
            if span.source is file:
                _warn_of_erratum(result, span, report)


def _warn_of_difference(result: ClaimResult, span: Span, report: Report) -> None:
    subject = quote(result.path) if result.path else "the network"
    printed = quote(result.printed)
    if result.status == "unreadable":
        message = f"the {result.quantity} of {subject} cannot be read: {printed}"
        help = "write a number, or one with a unit of `claims: {units: ...}`"
    else:
        figure = f"the {result.quantity} of {subject} are printed as {printed}"
        message = f"{figure}, we count {result.ours:,}"
        help = "correct the spec, or say why under `claims: {errata: {STEP: reason}}`"
    report.warning("AS0605", span, message, help=help)


def _warn_of_erratum(result: ClaimResult, span: Span, report: Report) -> None:
    message = f"the erratum for {quote(result.path)} excuses nothing"
    help = "no figure of that step differs" if result.quantity else "that step prints no figure"
    report.warning("AS0606", span, message, help=help)
