"""The result of a verification, as a table, as JSON, or as an error."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from archspec.analysis.tables import Column, Table, text
from archspec.backend.session import Mode, Precision
from archspec.diagnostics import Failure
from archspec.diagnostics.render import visible

COLUMNS = ("target", "mode", "in", "what", "compared", "deviation", "bound", "verdict")

LEGEND = """\
deviation: the largest |found - reference|, relative to the tensor's largest |reference|; of all
  tensors, that nearest to its bound. bound: 1e-5 in float32 and 1e-10 in float64 (1e-7 where the
  framework has a constant of a layer in float32), or, where the network amplifies rounding, 8 times
  as far as the float64 reference moves when each value on the way moves by a unit of rounding."""

FLOAT64_LEGEND = """\
  Derivatives are compared in float64: they jump where relus bend and largest values tie, and
  float32 takes the other side there."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first tensor, in execution order, that exceeds its bound, and its line in the spec."""

    name: str
    location: str
    error: float
    bound: float


@dataclass(frozen=True, slots=True)
class ReportLine:
    """The tensors of one quantity: how many were compared, and the one nearest to its bound.

    `skipped` says why nothing was compared, `failed` why nothing could be.
    """

    target: str
    mode: Mode
    precision: Precision | None = None
    quantity: str = ""
    compared: int = 0
    of: int = 0
    error: float = 0.0
    bound: float = 0.0
    worst: str = ""
    first: Divergence | None = None
    skipped: str = ""
    failed: str = ""

    @property
    def passed(self) -> bool:
        return self.first is None and not self.failed

    @property
    def verdict(self) -> str:
        if self.skipped:
            return "skipped"
        return "same" if self.passed else "DIFFERENT"


class DifferenceError(Failure):
    """Backends do not compute what the reference does."""


@dataclass(frozen=True)
class VerifyReport:
    """All lines of a verification; `repro` is the folder that reproduces a difference."""

    name: str
    spec: str
    batch: int
    seed: int
    lines: tuple[ReportLine, ...]
    seconds: float = 0.0
    repro: Path | None = None

    @property
    def passed(self) -> bool:
        return all(line.passed for line in self.lines)

    def raise_if_different(self) -> None:
        """Raise `DifferenceError`, naming the first difference of each target, if there is one."""
        differences = [describe_difference(line) for line in self.lines if not line.passed]
        if differences:
            message = f"{self.name} is not the same everywhere"
            raise DifferenceError("\n  ".join([message, *differences]))

    def json(self) -> str:
        """Return the whole report as one JSON object; errors that are not finite are null."""
        lines = [{**asdict(line), "passed": line.passed} for line in self.lines]
        report = {
            "name": self.name,
            "spec": self.spec,
            "batch": self.batch,
            "seed": self.seed,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "repro": str(self.repro) if self.repro else None,
            "lines": lines,
        }
        return json.dumps(_finite(report), indent=2, ensure_ascii=False)

    def table(self) -> str:
        """Return the lines as a table for people, each difference as a sentence, and a legend."""
        rows = tuple(map(_row, self.lines))
        table = text(Table(tuple(map(Column, COLUMNS)), rows))
        differences = [describe_difference(line) for line in self.lines if not line.passed]
        return "\n".join([table, "", *differences, *_legend(self.lines)])


def describe_difference(line: ReportLine) -> str:
    """Return a difference as a sentence; control characters in names are escaped."""
    where = f"{line.target}, {line.mode}"
    if line.failed:
        return visible(f"{where}: {line.failed}")
    first = line.first
    assert first is not None
    return visible(
        f"{where}: {line.quantity} first differ at {first.name} ({first.location}): "
        f"{_number(first.error)} of its largest value, the bound is {_number(first.bound)}"
    )


def _row(line: ReportLine) -> tuple[str, ...]:
    if line.skipped:
        return (line.target, line.mode, "", line.skipped, "", "", "", line.verdict)
    precision = line.precision or ""
    if line.failed:
        return (line.target, line.mode, precision, "failed", "", "", "", line.verdict)
    compared = f"{line.compared}" if line.compared == line.of else f"{line.compared} of {line.of}"
    numbers = (_number(line.error), _number(line.bound))
    return (line.target, line.mode, precision, line.quantity, compared, *numbers, line.verdict)


def _legend(lines: tuple[ReportLine, ...]) -> list[str]:
    """Return what deviation and bound mean, if anything was compared."""
    compared = [line for line in lines if line.compared]
    if not compared:
        return []
    if any(line.precision == "float64" for line in compared):
        return [LEGEND, FLOAT64_LEGEND]
    return [LEGEND]


def _number(value: float) -> str:
    return f"{value:.1e}"


def _finite(value: Any) -> Any:
    """Return a JSON value with null in place of numbers that JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in cast("list[Any]", value)]
    return value
