"""Figures that a paper prints, compared with ours.

>>> parse_figure("2.7K", {"K": 1024}) == (Fraction(27, 10) * 1024, Fraction(5, 100) * 1024)
True

A printed figure stands for everything that rounds to it: `2.7K` for 2.65K to 2.75K. Ours agrees if
it lies within the tolerance of that range; a depth has to be exact. An erratum excuses a step whose
figures differ; one that excuses nothing is reported, and so is a figure that cannot be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, Protocol

from archspec.analysis import groups
from archspec.analysis.stats import Stats, stats
from archspec.diagnostics import Span
from archspec.ir.document import Claims, Document
from archspec.ir.graph import Graph

Status = Literal["agrees", "erratum", "differs", "unreadable"]

_FIGURE = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.([0-9]+))?\s*([^\W\d_]*)")
_MAX_LENGTH = 60
_FIELDS = {"params": "params", "ops": "macs", "depth": "depth"}


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """One printed figure.

    `path` is the step's, empty for the whole network. `difference` is (ours - printed) / printed,
    None where that has no meaning. An `erratum` that is not needed accompanies the status `agrees`,
    and has no quantity where the step prints nothing.
    """

    path: str
    quantity: str
    printed: str
    value: Fraction | None
    ours: int
    difference: float | None
    status: Status
    erratum: str = ""
    span: Span | None = None

    @property
    def unneeded(self) -> bool:
        """The step has an erratum although none of its figures differs."""
        return self.status == "agrees" and self.erratum != ""


class SpecWithClaims(Protocol):
    """A spec: a network and the sections around it."""

    @property
    def graph(self) -> Graph: ...
    @property
    def document(self) -> Document: ...


def compare_claims(spec: SpecWithClaims) -> tuple[ClaimResult, ...]:
    """Return every printed figure of a spec, in the order of its steps, then the network's."""
    section = spec.document.claims or Claims.model_validate({})
    ours = stats(spec)
    results = [*_step_results(ours, section), *_total_results(ours, section)]
    return tuple(_with_errata(results, section.errata))


def parse_figure(text: str, units: Mapping[str, int | float]) -> tuple[Fraction, Fraction] | None:
    """Return a printed figure's value and half a unit of its last digit; None if unreadable."""
    if len(text) > _MAX_LENGTH:
        return None
    match = _FIGURE.fullmatch(text.strip())
    if not match or not (match[1] or match[2]) or (match[3] and match[3] not in units):
        return None
    scale = units[match[3]] if match[3] else 1
    if not math.isfinite(scale):
        return None
    decimals = match[2] or ""
    digits = (match[1] or "0").replace(",", "")
    last_digit = Fraction(scale) / 10 ** len(decimals)
    return int(digits + decimals) * last_digit, last_digit / 2


def _step_results(ours: Stats, section: Claims) -> Iterator[ClaimResult]:
    printed = ours.graph.claims
    totals = groups.at_paths(ours.graph, ours.layers, {claim.path for claim in printed})
    for claim in printed:
        step = totals.get(claim.path)
        counted: int = getattr(step, _FIELDS[claim.quantity]) if step else 0
        yield _judge(claim.path, claim.quantity, claim.text, counted, section, claim.span)


def _total_results(ours: Stats, section: Claims) -> Iterator[ClaimResult]:
    for quantity, printed in section.totals.items():
        yield _judge("", quantity, str(printed), getattr(ours, quantity), section, None)


def _judge(
    path: str, quantity: str, text: str, ours: int, section: Claims, span: Span | None
) -> ClaimResult:
    figure = parse_figure(text, section.units)
    if figure is None:
        return ClaimResult(path, quantity, text, None, ours, None, "unreadable", span=span)
    value, rounding = figure
    tolerance = Fraction(section.tolerance)
    if quantity.startswith("depth"):
        rounding = tolerance = Fraction(0)
    agrees = (value - rounding) * (1 - tolerance) <= ours <= (value + rounding) * (1 + tolerance)
    status: Status = "agrees" if agrees else "differs"
    difference = _ratio(ours - value, value)
    return ClaimResult(path, quantity, text, value, ours, difference, status, span=span)


def _ratio(part: Fraction, whole: Fraction) -> float | None:
    try:
        return float(part / whole) if whole else None
    except OverflowError:  # beyond the range of floats, a ratio tells nothing
        return None


def _with_errata(results: list[ClaimResult], errata: Mapping[str, str]) -> Iterator[ClaimResult]:
    """Yield the results, each erratum attached to what it excuses or to a step that agrees."""
    differing = {result.path for result in results if result.status == "differs"}
    for result in results:
        text = errata.get(result.path, "")
        if text and result.status == "differs":
            yield replace(result, status="erratum", erratum=text)
        elif text and result.path not in differing and result.status == "agrees":
            yield replace(result, erratum=text)
        else:
            yield result
    paths = {result.path for result in results}
    for path, text in errata.items():
        if path not in paths:
            yield ClaimResult(path, "", "", None, 0, None, "agrees", text)
