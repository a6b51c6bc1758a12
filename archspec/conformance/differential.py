"""Several backends on one spec, compared with one run of the reference.

A spec that fails is shrunk, kept and shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from archspec._numpy import np
from archspec.backend.session import Mode
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.layers import load_text
from archspec.conformance.ops import spread
from archspec.conformance.shrink import shrink
from archspec.conformance.spec_failure import SpecFailure
from archspec.diagnostics import Failure
from archspec.equivalence.inputs import VerifyInputs, fixed_cotangents, random_weights
from archspec.equivalence.measure import Expected, Rounding
from archspec.equivalence.modes import MODES, Quantity, expected_values
from archspec.equivalence.report import describe_difference
from archspec.ir.graph import Graph
from archspec.reference import ReferenceSession

SEEDS = (1, 2, 3)
"""Seeds of the jitter. One would do for larger networks; small ones have more ties."""


MAX_VALUE = 2.0**60
"""Beyond this value float32 has no number for the square."""


def stays_in_range(graph: Graph, inputs: VerifyInputs) -> bool:
    """Tell whether all values stay in float32's range; products of products soon do not."""
    with np.errstate(over="ignore", invalid="ignore"):
        activations = (
            ReferenceSession(graph, inputs.tensors)
            .forward(inputs.x, train=True, return_activations=True)
            .activations
        )
    return all(np.abs(value).max(initial=0.0) <= MAX_VALUE for value in activations.values())


@dataclass
class DifferentialTest:
    """Backends that have to agree; `failing` is the spec that failed last, and its seed."""

    backends: Sequence[BackendUnderTest]
    regressions: Path | None = None
    modes: Sequence[Mode] = MODES
    failing: tuple[str, int] | None = None
    differences: dict[str, str] = field(default_factory=dict[str, str])
    """The differences that were found, by the text of the spec."""

    def check(self, text: str, seed: int, batch: int = 3) -> None:
        """Raise `SpecFailure` if a backend differs or fails. Leave out those with a gap there."""
        spec = load_text(text)
        inputs = VerifyInputs(
            random_weights(spec.graph, seed),
            spread((batch, *spec.graph.input), seed),
            fixed_cotangents(spec.graph, seed),
        )
        if not stays_in_range(spec.graph, inputs):
            return
        references: dict[tuple[Mode, Rounding], dict[Quantity, Expected]] = {}
        wrong: list[str] = []
        for backend in self.backends:
            if not backend.lowers(spec.graph):
                continue
            precision = backend.precision("float64")
            rounding = backend.target.rounding(spec.graph, precision)
            expected: dict[Mode, dict[Quantity, Expected]] = {}
            for mode in filter(backend.has_mode, self.modes):
                if (mode, rounding) not in references:
                    references[mode, rounding] = expected_values(
                        spec.graph, inputs, mode, rounding, SEEDS
                    )
                expected[mode] = references[mode, rounding]
            try:
                wrong += map(
                    describe_difference, backend.differences(spec, inputs, expected, precision)
                )
            except Failure as error:
                wrong.append(f"{backend}: {error.message}")
        if wrong:
            self.failing = text, seed
            self.differences[text] = "\n".join(wrong)
            raise SpecFailure(text, self.differences[text], f"seed {seed}")

    def search(self, test: Callable[[], None]) -> None:
        """Run a property that calls `check`. Shrink what it ends on, keep that, and raise it."""
        try:
            test()
        except AssertionError:
            if self.failing is None:
                raise
            text, seed = self.failing
            small = shrink(text, lambda candidate: self._fails(candidate, seed))
            path = self._keep(small)
            where = f", kept as {path}" if path else ""
            title = f"the smallest spec with a difference{where}"
            raise SpecFailure(small, self.differences[small], f"seed {seed}", title) from None

    def _fails(self, text: str, seed: int) -> bool:
        try:
            self.check(text, seed)
        except AssertionError:
            return True
        except Exception:  # one that does not even run shows something else
            return False
        return False

    def _keep(self, text: str) -> Path | None:
        if self.regressions is None:
            return None
        self.regressions.mkdir(parents=True, exist_ok=True)
        path = self.regressions / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml"
        path.write_text(text, encoding="utf-8")
        return path
