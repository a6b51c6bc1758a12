"""What a verification found: a line for each target, mode and quantity, as a table, as JSON, or as an error."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from archspec.backend.session import Mode, Precision
from archspec.diagnostics import Failure
from archspec.diagnostics.render import visible


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first tensor, in execution order, that is further away than its bound; `place` is its line in the spec."""

    name: str
    location: str
    error: float
    bound: float


@dataclass(frozen=True, slots=True)
class ReportLine:
    """The tensors of one quantity: how many were compared, the one nearest to its bound or beyond, and the reason.

    `skipped` says why nothing was compared, where the backend cannot do it.
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
        return "skipped" if self.skipped else "same" if self.passed else "DIFFERENT"


class DifferenceError(Failure):
    """Backends do not compute what the reference does."""


@dataclass(frozen=True)
class VerifyReport:
    """All lines of a verification; `repro` is the folder with what it takes to see a difference again."""

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
        """Raises `Different`, which names the first difference of each target."""
        wrong = [line for line in self.lines if not line.passed]
        if wrong:
            raise DifferenceError(
                "\n  ".join(
                    [f"{self.name} is not the same everywhere", *map(describe_difference, wrong)]
                )
            )

    def json(self) -> str:
        """Everything, as one JSON object; errors that are no number are null."""
        lines = [{**asdict(line), "passed": line.passed} for line in self.lines]
        facts = {
            "name": self.name,
            "spec": self.spec,
            "batch": self.batch,
            "seed": self.seed,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "repro": str(self.repro) if self.repro else None,
            "lines": lines,
        }
        return json.dumps(_finite(facts), indent=2, ensure_ascii=False)

    def table(self) -> str:
        """For people."""
        head = ("target", "mode", "in", "what", "compared", "error", "bound", "verdict")
        rows = [head, *map(_row, self.lines)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        tail = [describe_difference(line) for line in self.lines if not line.passed]
        tail += _reasons(self.lines)
        return "\n".join([*lines, "", *tail])


def describe_difference(line: ReportLine) -> str:
    """A difference as a sentence; what a spec's names hold is shown and not obeyed by a terminal."""
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
    if line.failed:
        return (line.target, line.mode, line.precision or "", "failed", "", "", "", line.verdict)
    compared = f"{line.compared}" if line.compared == line.of else f"{line.compared} of {line.of}"
    numbers = (_number(line.error), _number(line.bound))
    return (
        line.target,
        line.mode,
        line.precision or "",
        line.quantity,
        compared,
        *numbers,
        line.verdict,
    )


def _reasons(lines: tuple[ReportLine, ...]) -> list[str]:
    """What error and bound are, said once."""
    done = [line for line in lines if line.compared]
    if not done:
        return []
    text = [
        "error: the largest |found - reference|, relative to the tensor's largest |reference|; of all tensors, that",
        "  nearest to its bound. bound: 1e-5 in float32 and 1e-10 in float64 (1e-7 where the framework has a constant",
        "  of a layer in float32), or, where the network amplifies rounding, 8 times as far as the float64 reference",
        "  moves when each value on the way moves by a unit of rounding.",
    ]
    if any(line.precision == "float64" for line in done):
        text += [
            "  Derivatives are compared in float64: they jump where relus bend and largest values tie, and float32",
            "  takes the other side there.",
        ]
    return text


def _number(value: float) -> str:
    return f"{value:.1e}"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in cast("dict[str, Any]", value).items()}
    return (
        [_finite(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value
    )
