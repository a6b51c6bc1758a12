"""Several backends on one spec, against one run of the reference; what fails is shrunk and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archspec.conformance.layers import read
from archspec.conformance.ops import spread
from archspec.conformance.shrink import shrink
from archspec.conformance.subject import Subject
from archspec.equivalence.material import Material, shares, weights
from archspec.equivalence.measure import Expected
from archspec.equivalence.modes import MODES, Quantity, expected
from archspec.equivalence.report import told
from archspec.session import Mode, Precision


@dataclass
class Agreement:
    """Subjects that have to agree; `failing` is the spec that failed last, and its seed."""

    subjects: Sequence[Subject]
    regressions: Path | None = None
    modes: Sequence[Mode] = MODES
    failing: tuple[str, int] | None = None
    wanted: dict[tuple[Mode, Precision], dict[Quantity, Expected]] = field(default_factory=dict)

    def holds(self, text: str, seed: int, batch: int = 3) -> None:
        """Raises AssertionError where a subject differs."""
        spec = read(text)
        given = Material(weights(spec.graph, seed), spread((batch, *spec.graph.input), seed), shares(spec.graph, seed))
        self.wanted.clear()
        wrong: list[str] = []
        for subject in self.subjects:
            precision = subject.precision("float64")
            modes = [mode for mode in self.modes if subject.does(mode)]
            for mode in modes:
                if (mode, precision) not in self.wanted:
                    self.wanted[mode, precision] = expected(spec.graph, given, mode, precision)
            plain = {mode: self.wanted[mode, precision] for mode in modes}
            wrong += map(told, subject.differences(spec, given, modes, plain, precision))
        if wrong:
            self.failing = text, seed
            raise AssertionError("\n".join(wrong))

    def search(self, test: Callable[[], None]) -> None:
        """Runs a property that calls `holds`; what it ends on is shrunk, kept, and shown."""
        try:
            test()
        except AssertionError as error:
            if self.failing is None:
                raise
            text, seed = self.failing
            small = shrink(text, lambda candidate: self._fails(candidate, seed))
            kept = self._keep(small)
            where = f", kept as {kept}" if kept else ""
            raise AssertionError(f"{error}\n\nthe smallest spec with a difference{where}:\n\n{small}") from error

    def _fails(self, text: str, seed: int) -> bool:
        try:
            self.holds(text, seed)
        except AssertionError:
            return True
        except Exception:  # no spec, or none that runs
            return False
        return False

    def _keep(self, text: str) -> Path | None:
        if self.regressions is None:
            return None
        self.regressions.mkdir(parents=True, exist_ok=True)
        path = self.regressions / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml"
        path.write_text(text, encoding="utf-8")
        return path
