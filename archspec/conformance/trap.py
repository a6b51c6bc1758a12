"""The kinds of traps: a spec in which a framework's default would show, and how it is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from archspec._numpy import Array, np
from archspec.backend.session import Mode, Precision, Session
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.layers import load_text
from archspec.conformance.ops import spread
from archspec.equivalence.inputs import VerifyInputs, fixed_cotangents, random_weights
from archspec.frontend.loader import Spec
from archspec.ir.graph import Graph

Law = Callable[[Session, "Array"], None]
"""A law of every run on a batch, whatever it draws; raises AssertionError."""


@dataclass(frozen=True, slots=True)
class Trap:
    """A spec in which a framework's default would show, and the modes in which it would."""

    name: str
    text: str
    reason: str
    modes: tuple[Mode, ...] = ("eval", "grad")
    negative: bool = False
    """Whether the whole input is below zero."""
    scale: float = 1.0
    """A factor of the input; running variances are multiplied by its square."""
    offset: float = 0.0
    """Added to the input, and to running means."""
    precision: Precision = "float64"
    """The precision in which it shows, where the backend has it."""

    def __str__(self) -> str:
        return self.name

    @property
    def batches(self) -> tuple[int, ...]:
        """Return the batch sizes it is tried on; a single sample has no statistics to train by."""
        return (3,) if "train" in self.modes else (3, 1)

    def inputs(self, graph: Graph, batch: int) -> VerifyInputs:
        """Return weights, an input and a loss for a batch of that size."""
        x = spread((batch, *graph.input), seed=batch) - (8 if self.negative else 0)
        tensors = random_weights(graph, seed=1)
        for name, value in tensors.items():
            if name.endswith(".running_var"):
                tensors[name] = value * self.scale**2
            elif name.endswith(".running_mean"):
                tensors[name] = value + self.offset
        x = (x * self.scale + self.offset).astype(np.float32).astype(np.float64)
        return VerifyInputs(tensors, x, fixed_cotangents(graph, seed=1))

    def check(self, backend: BackendUnderTest) -> None:
        """Raise AssertionError if the backend falls into it; one with a gap there cannot."""
        spec = load_text(self.text)
        if backend.lowers(spec.graph):
            self.compare(backend, spec)

    def compare(self, backend: BackendUnderTest, spec: Spec) -> None:
        """Compare with the reference, in all modes and batch sizes."""
        for batch in self.batches:
            inputs = self.inputs(spec.graph, batch)
            backend.check(spec, inputs, *self.modes, precision=self.precision)


@dataclass(frozen=True, slots=True)
class DropoutTrap(Trap):
    """A trap with random numbers in it: a law takes the place of the reference."""

    law: Law = field(kw_only=True)

    def compare(self, backend: BackendUnderTest, spec: Spec) -> None:
        if all(map(backend.has_mode, self.modes)):
            inputs = self.inputs(spec.graph, batch=4)
            self.law(backend.open(spec, inputs, backend.precision("float32")), inputs.x)


def net(input: str, *steps: str, more: str = "") -> str:
    """Return a spec with that input and these steps; `more` are its other sections."""
    lines = "".join(f"  - {step}\n" for step in steps)
    return f"archspec: 1\nname: trap\ninput: [{input}]\n{more}network:\n{lines}"
