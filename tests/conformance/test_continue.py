"""Training resumed on another backend: ten steps here and ten there are the reference's twenty."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import archspec
from archspec.backend.session import OutputCotangents, Precision, Session, SessionState, SgdConfig
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.compare import compare_all
from archspec.equivalence.inputs import VerifyInputs
from archspec.frontend.loader import Spec
from archspec.ir.graph import Graph
from archspec.reference import ReferenceSession
from archspec.weights import checkpoint
from archspec.weights.init import initial_tensors
from archspec.weights.weight_source import WeightSource
from tests.helpers.specs import checked

Array = NDArray[Any]
Opened = Callable[[str], BackendUnderTest]

OPTIMIZER = SgdConfig(learning_rate=0.01, momentum=0.9, nesterov=True, weight_decay=1e-3)
STEPS = 10
TARGETS = ("torch", "keras", "keras@jax")

HEADS = """archspec: 1
name: small
input: [3, 6, 6]
network:
  - {name: one, conv: {out: 4, kernel: 3, bias: false}}
  - {name: bn, batch_norm: {momentum: 0.2}}
  - {name: act, tanh: , aux: side}
  - flatten
  - {name: fc, linear: {out: 5}}
blocks:
  exit: {body: [global_avg_pool, flatten, {linear: {out: 5}}]}
heads:
  side: {block: exit, only: train, weight: 0.3}
"""
SPECS = ("lenet5", "with heads")


def cases(*places: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return each tuple of targets with each spec; JAX, which compiles long, has the small one."""
    return [
        (*targets, name)
        for targets in places
        for name in SPECS
        if name != "lenet5" or "keras@jax" not in targets
    ]


@cache
def spec_of(name: str) -> Spec:
    return archspec.load(name) if name == "lenet5" else checked(HEADS)


@pytest.fixture(scope="module")
def opened() -> Generator[Opened]:
    """Targets by name, each in a process that the tests here share."""

    @cache
    def target(name: str) -> BackendUnderTest:
        return stack.enter_context(BackendUnderTest.remote(name))

    with ExitStack() as stack:
        yield target


def loss(graph: Graph, labels: Array) -> OutputCotangents:
    """Return the cotangents of the loss: softmax cross entropy, mean over the batch, head
    weights.
    """
    weights = {head.name: head.weight for head in graph.heads}

    def pull(outputs: Mapping[str, Array]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, y in outputs.items():
            grown = np.exp(y - y.max(1, keepdims=True))
            share = grown / grown.sum(1, keepdims=True)
            found[name] = weights[name] * (share - np.eye(y.shape[1])[labels]) / len(y)
        return found

    return pull


def train(session: Session, graph: Graph, first: int, count: int) -> None:
    """Steps, each on a batch of its own."""
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        x = rng.standard_normal((8, *graph.input)).astype(np.float32)
        (classes,) = graph.nodes[graph.heads[0].node].shape
        session.step(x, loss(graph, rng.integers(0, classes, 8)), OPTIMIZER)


def started(spec: Spec) -> dict[str, Array]:
    return {
        name: value.astype(np.float64) for name, value in initial_tensors(spec.graph, 0).items()
    }


def session(subject: BackendUnderTest, spec: Spec, precision: Precision) -> Session:
    """A new session with the initial weights."""
    return subject.open(
        spec, VerifyInputs(started(spec), np.zeros((1, *spec.graph.input)), dict), precision
    )


@cache
def twenty(name: str) -> SessionState:
    """The reference's tensors and slots after all steps."""
    spec = spec_of(name)
    reference = ReferenceSession(spec.graph, started(spec))
    train(reference, spec.graph, 0, 2 * STEPS)
    return reference.state()


def equal(found: SessionState, expected: SessionState, bound: float, what: str) -> None:
    compare_all(found.tensors, expected.tensors, bound=bound, what=what)
    compare_all(found.slots, expected.slots, bound=bound, what=f"slots, {what}")


PAIRS = [
    ("torch", "torch"),
    *(("torch", after) for after in TARGETS[1:]),
    *((before, "torch") for before in TARGETS[1:]),
]


@pytest.mark.parametrize(("before", "after", "name"), cases(*PAIRS, ("keras", "keras@jax")))
def test_ten_steps_and_ten_elsewhere_are_twenty(
    opened: Opened, before: str, after: str, name: str, tmp_path: Path
) -> None:
    spec, path = spec_of(name), tmp_path / "half.safetensors"
    first = session(opened(before), spec, "float32")
    train(first, spec.graph, 0, STEPS)
    state = first.state()
    checkpoint.save_checkpoint(
        path, {**state.tensors, **state.slots}, checkpoint.network_metadata(spec.graph, spec.sha256)
    )
    second = session(opened(after), spec, "float32")
    second.restore(checkpoint.load_state(WeightSource(path), spec.graph))
    train(second, spec.graph, STEPS, STEPS)
    equal(second.state(), twenty(name), 1e-5, f"{before}, then {after}")


@pytest.mark.parametrize(
    ("before", "after", "name"), cases(("torch", "keras"), ("keras@jax", "torch"))
)
def test_in_double_precision_they_are_nearer(
    opened: Opened, before: str, after: str, name: str
) -> None:
    """A checkpoint holds single precision: the state goes from one session to the other."""
    spec = spec_of(name)
    first = session(opened(before), spec, "float64")
    train(first, spec.graph, 0, STEPS)
    state = first.state()
    second = session(opened(after), spec, "float64")
    second.restore(state)
    train(second, spec.graph, STEPS, STEPS)
    equal(second.state(), twenty(name), 1e-9, f"{before}, then {after}")


@pytest.mark.parametrize(("target", "name"), cases(*((target,) for target in TARGETS)))
def test_twenty_steps_in_one_place(opened: Opened, target: str, name: str) -> None:
    spec = spec_of(name)
    only = session(opened(target), spec, "float64")
    train(only, spec.graph, 0, 2 * STEPS)
    equal(only.state(), twenty(name), 1e-9, target)


def test_without_its_slots_training_goes_another_way(opened: Opened) -> None:
    spec = spec_of("with heads")
    first = session(opened("torch"), spec, "float64")
    train(first, spec.graph, 0, STEPS)
    second = session(opened("torch"), spec, "float64")
    second.restore(SessionState(first.state().tensors))
    train(second, spec.graph, STEPS, STEPS)
    with pytest.raises(AssertionError, match="more than 0.01"):
        equal(second.state(), twenty("with heads"), 1e-2, "without slots")


def test_the_loss_is_the_derivative_of_cross_entropy() -> None:
    graph, labels = spec_of("with heads").graph, np.array([1, 4])
    rng = np.random.default_rng(0)
    outputs = {head.name: rng.standard_normal((2, 5)) for head in graph.heads}

    def value(outputs: Mapping[str, Array]) -> float:
        chances = {name: np.exp(y) / np.exp(y).sum(1, keepdims=True) for name, y in outputs.items()}
        return sum(
            -(1.0 if name == "main" else 0.3) * float(np.log(p[[0, 1], labels]).mean())
            for name, p in chances.items()
        )

    found = loss(graph, labels)(outputs)
    for name, y in outputs.items():
        direction = rng.standard_normal(y.shape)
        ahead, behind = (value({**outputs, name: y + step * direction}) for step in (1e-6, -1e-6))
        assert float((found[name] * direction).sum()) == pytest.approx(
            (ahead - behind) / 2e-6, rel=1e-6
        )
