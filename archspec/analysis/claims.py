"""The figures that a paper prints, held against ours.

>>> read("2.7K", {"K": 1024}) == (Fraction(27, 10) * 1024, Fraction(5, 100) * 1024)
True

A printed figure stands for everything that rounds to it: `2.7K` for 2.65K to 2.75K. Ours agrees if it lies within the
tolerance of that range; a depth is exact. An erratum excuses a step from agreeing, and is reported where there is
nothing to excuse. So is a figure that cannot be read.
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
_LONGEST = 60
_OURS = {"params": "params", "ops": "macs", "depth": "depth"}


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """One printed figure.

    `path` is the step's, empty for the whole network; `difference` is (ours - printed) / printed, None where that has
    no meaning. An `erratum` that is not needed stands beside the status `agrees`, and has no quantity where the step
    prints nothing.
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
        """The step has an erratum, and nothing of it differs."""
        return self.status == "agrees" and self.erratum != ""


class HasClaims(Protocol):
    """A spec: a network and the sections around it."""

    @property
    def graph(self) -> Graph: ...
    @property
    def document(self) -> Document: ...


def claims(spec: HasClaims) -> tuple[ClaimResult, ...]:
    """Every printed figure of a spec, step by step as they are printed, then those of the whole network."""
    section = spec.document.claims or Claims.model_validate({})
    whole = stats(spec)
    return tuple(_errata([*_steps(whole, section), *_totals(whole, section)], section.errata))


def read(text: str, units: Mapping[str, int | float]) -> tuple[Fraction, Fraction] | None:
    """A printed figure's value and what its rounding hides on either side; None where it cannot be read."""
    match = _FIGURE.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if not match or not (match[1] or match[2]) or (match[3] and match[3] not in units):
        return None
    scale = units[match[3]] if match[3] else 1
    if not math.isfinite(scale):
        return None
    unit = Fraction(scale)
    decimals = match[2] or ""
    digits = (match[1] or "0").replace(",", "")
    last = unit / 10 ** len(decimals)
    return int(digits + decimals) * last, last / 2


def _steps(whole: Stats, section: Claims) -> Iterator[ClaimResult]:
    claimed = whole.graph.claims
    found = groups.along(whole.graph, whole.layers, {claim.path for claim in claimed})
    for claim in claimed:
        group = found.get(claim.path)
        ours: int = getattr(group, _OURS[claim.quantity]) if group else 0
        yield _judge(claim.path, claim.quantity, claim.text, ours, section, claim.span)


def _totals(whole: Stats, section: Claims) -> Iterator[ClaimResult]:
    for quantity, printed in section.totals.items():
        yield _judge("", quantity, str(printed), getattr(whole, quantity), section, None)


def _judge(
    path: str, quantity: str, text: str, ours: int, section: Claims, span: Span | None
) -> ClaimResult:
    figure = read(text, section.units)
    if figure is None:
        return ClaimResult(path, quantity, text, None, ours, None, "unreadable", span=span)
    value, hidden = figure
    tolerance = Fraction(section.tolerance)
    if quantity.startswith("depth"):
        hidden = tolerance = Fraction(0)
    agrees = (value - hidden) * (1 - tolerance) <= ours <= (value + hidden) * (1 + tolerance)
    difference = _ratio(ours - value, value)
    return ClaimResult(
        path, quantity, text, value, ours, difference, "agrees" if agrees else "differs", span=span
    )


def _ratio(part: Fraction, whole: Fraction) -> float | None:
    try:
        return float(part / whole) if whole else None
    except OverflowError:  # beyond any float: as good as no ratio at all
        return None


def _errata(results: list[ClaimResult], errata: Mapping[str, str]) -> Iterator[ClaimResult]:
    """The results, with each erratum beside what it excuses, or beside the step that needs no excuse."""
    wrong = {result.path for result in results if result.status == "differs"}
    for result in results:
        text = errata.get(result.path, "")
        if text and result.status == "differs":
            yield replace(result, status="erratum", erratum=text)
        elif text and result.path not in wrong and result.status == "agrees":
            yield replace(result, erratum=text)
        else:
            yield result
    known = {result.path for result in results}
    yield from (
        ClaimResult(path, "", "", None, 0, None, "agrees", text)
        for path, text in errata.items()
        if path not in known
    )
