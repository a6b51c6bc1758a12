"""A backend under test: it opens specs, and is compared with the reference on them.

with BackendUnderTest.remote("keras@jax") as under_test:
    under_test.check(spec, verify_inputs(spec.graph, seed=0, batch=2), "grad")
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from archspec.backend import Backend
from archspec.backend.session import Mode, Precision, Session
from archspec.equivalence.inputs import VerifyInputs
from archspec.equivalence.measure import Expected
from archspec.equivalence.modes import Quantity, expected_values, measure
from archspec.equivalence.plan import build_target, compare_quantities
from archspec.equivalence.remote import Remote, Target
from archspec.equivalence.report import ReportLine, describe_difference
from archspec.frontend.loader import Spec
from archspec.ir.graph import Graph

OpenBuild = Callable[[Path, Path, Spec, Precision], Session]
"""Open a build's folder, given the file of its spec too."""


@dataclass
class BackendUnderTest:
    """A target and a way to open it."""

    target: Target
    open_build: OpenBuild
    close: Callable[[], None] = lambda: None
    folders: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list[Any])

    @classmethod
    def remote(cls, name: str) -> Self:
        """Return the target of that name, in a process of its own that computes with one thread."""
        target = Target.parse(name)
        process = Remote(target, threads=1)

        def opener(folder: Path, text: Path, spec: Spec, precision: Precision) -> Session:
            process.open(folder, text, precision)
            return process

        return cls(target, opener, process.close)

    @classmethod
    def local(cls, backend: Backend) -> Self:
        """Return a backend in this process, for one that is being changed."""
        return cls(
            Target(backend),
            lambda folder, text, spec, precision: backend.open(folder, spec.graph, precision),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()
        self._forget()

    def __str__(self) -> str:
        return str(self.target)

    @property
    def is_default_engine(self) -> bool:
        """Tell whether the target runs on its backend's default engine."""
        return self.target.engine in ("", next(iter(self.target.backend.engines), ""))

    def precision(self, wanted: Precision) -> Precision:
        """Return that precision, or the first one that the backend has."""
        available = self.target.backend.precisions
        return wanted if wanted in available else next(iter(available))

    def has_mode(self, mode: Mode) -> bool:
        """Tell whether the backend can run in that mode."""
        return mode in self.target.backend.modes

    def lowers(self, graph: Graph) -> bool:
        """Tell whether the backend lowers every op of the graph.

        The suite checks in `declaration` and `layers` that a backend's gaps are true.
        """
        return {node.op.kind for node in graph.nodes[1:]} <= set(self.target.backend.lowered)

    def open(self, spec: Spec, given: VerifyInputs, precision: Precision) -> Session:
        """Build the spec with these tensors and open the build.

        What was opened before is closed.
        """
        self._forget()
        self.folders.append(tempfile.TemporaryDirectory(prefix="archspec-"))
        folder, text = build_target(spec, self.target, given, Path(self.folders[0].name))
        return self.open_build(folder, text, spec, precision)

    def _forget(self) -> None:
        while self.folders:
            self.folders.pop().cleanup()

    def differences(
        self,
        spec: Spec,
        given: VerifyInputs,
        expected: Mapping[Mode, Mapping[Quantity, Expected]],
        precision: Precision,
    ) -> list[ReportLine]:
        """Return the lines in which one session differs from what is expected, mode by mode."""
        session = self.open(spec, given, precision)
        rounding = self.target.rounding(spec.graph, precision)
        lines: list[ReportLine] = []
        for mode, values in expected.items():
            lines += compare_quantities(
                spec.graph,
                str(self),
                mode,
                precision,
                measure(session, given, mode),
                values,
                rounding,
            )
        return [line for line in lines if not line.passed]

    def check(
        self, spec: Spec, given: VerifyInputs, *modes: Mode, precision: Precision = "float64"
    ) -> None:
        """Raise AssertionError if the backend differs from the reference in a mode that it has."""
        precision = self.precision(precision)
        rounding = self.target.rounding(spec.graph, precision)
        expected: dict[Mode, dict[Quantity, Expected]] = {}
        for mode in filter(self.has_mode, modes):
            expected[mode] = expected_values(spec.graph, given, mode, rounding)
        if wrong := self.differences(spec, given, expected, precision):
            raise AssertionError("\n".join(map(describe_difference, wrong)))
