"""A backend under test: it opens specs, and is held against the reference on them.

with BackendUnderTest.remote("keras@jax") as under_test:
    under_test.check(spec, material(spec.graph, seed=0, batch=2), "grad")
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from archspec.backend import Backend
from archspec.backend.session import Mode, Precision, Session
from archspec.equivalence.measure import Expected
from archspec.equivalence.modes import Quantity, expected, measure
from archspec.equivalence.plan import built, judged
from archspec.equivalence.remote import Remote, Target
from archspec.equivalence.report import Line, told
from archspec.equivalence.test_inputs import Material
from archspec.frontend.loader import Spec
from archspec.ir.graph import Graph

OpenBuild = Callable[[Path, Path, Spec, Precision], Session]
"""Opens a build's folder, with the file of its spec."""


@dataclass
class BackendUnderTest:
    """A target and a way to open it."""

    target: Target
    open_build: OpenBuild
    close: Callable[[], None] = lambda: None
    folders: list[tempfile.TemporaryDirectory[str]] = field(default_factory=list[Any])

    @classmethod
    def remote(cls, name: str) -> Self:
        """A target by its name, in a process of its own that computes with one thread."""
        target = Target.parse(name)
        process = Remote(target, threads=1)

        def opener(folder: Path, text: Path, spec: Spec, precision: Precision) -> Session:
            process.open(folder, text, precision)
            return process

        return cls(target, opener, process.close)

    @classmethod
    def local(cls, backend: Backend) -> Self:
        """A backend in this process, as one under change is."""
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
        """Whether the target's engine is the one that its backend usually runs on."""
        return self.target.engine in ("", next(iter(self.target.backend.engines), ""))

    def precision(self, wanted: Precision) -> Precision:
        """That precision, or the one that the backend has."""
        known = self.target.backend.precisions
        return wanted if wanted in known else next(iter(known))

    def has_mode(self, mode: Mode) -> bool:
        """Whether the backend can run in that mode."""
        return mode in self.target.backend.modes

    def lowers(self, graph: Graph) -> bool:
        """Whether the backend has no gap there; `declaration` and `layers` hold it to saying so."""
        return {node.op.kind for node in graph.nodes[1:]} <= set(self.target.backend.lowered)

    def open(self, spec: Spec, given: Material, precision: Precision) -> Session:
        """Builds the spec with these tensors and opens the build; what was opened before is closed."""
        self._forget()
        self.folders.append(tempfile.TemporaryDirectory(prefix="archspec-"))
        folder, text = built(spec, self.target, given, Path(self.folders[0].name))
        return self.open_build(folder, text, spec, precision)

    def _forget(self) -> None:
        while self.folders:
            self.folders.pop().cleanup()

    def differences(
        self,
        spec: Spec,
        given: Material,
        wanted: Mapping[Mode, Mapping[Quantity, Expected]],
        precision: Precision,
    ) -> list[Line]:
        """The lines in which one session differs from what is wanted, mode after mode."""
        session = self.open(spec, given, precision)
        rounding = self.target.rounding(spec.graph, precision)
        lines: list[Line] = []
        for mode, values in wanted.items():
            lines += judged(
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
        self, spec: Spec, given: Material, *modes: Mode, precision: Precision = "float64"
    ) -> None:
        """Raises AssertionError where the backend does not compute the reference in one of the modes that it has."""
        precision = self.precision(precision)
        rounding = self.target.rounding(spec.graph, precision)
        wanted: dict[Mode, dict[Quantity, Expected]] = {}
        for mode in filter(self.has_mode, modes):
            wanted[mode] = expected(spec.graph, given, mode, rounding)
        if wrong := self.differences(spec, given, wanted, precision):
            raise AssertionError("\n".join(map(told, wrong)))
