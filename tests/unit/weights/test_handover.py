"""Training that continues on another backend: ten steps, a checkpoint and ten more equal the reference's twenty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend import BackendError, available, find, load
from archspec.backend.session import Session, SgdConfig
from archspec.compiler import write_build
from archspec.conformance.compare import compare_all
from archspec.frontend.loader import Spec
from archspec.reference.session import ReferenceSession
from archspec.weights import checkpoint
from archspec.weights.init import initial_tensors
from archspec.weights.weight_source import WeightSource
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT

OPTIMIZER = SgdConfig(learning_rate=0.001, momentum=0.9, nesterov=True, weight_decay=0.01)
STEPS = 10


def trainers() -> list[str]:
    """The reference, and every backend that can take a step."""
    found = ["reference"]
    for name in sorted(available()):
        try:
            found += [name] if "step" in find(name).modes else []
        except BackendError:
            continue
    return found


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(
        TEXT.replace("[3, 1]}", "[3, 1], bias: false}")
    )  # before batch norm, a bias has no gradient


@pytest.fixture(scope="module")
def opened(spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Session]:
    def open_session(name: str) -> Session:
        if name == "reference":
            return ReferenceSession(spec.graph, initial_tensors(spec.graph, seed=3))
        backend = load(name)
        folder = write_build(
            spec,
            backend,
            tmp_path_factory.mktemp(name) / "net",
            weights=WeightSource(seed=3),
        )
        return backend.open(folder, spec.graph, "float32")

    return open_session


def train(session: Session, first: int, count: int) -> None:
    """Steps towards targets, each on a batch of its own."""
    for number in range(first, first + count):
        generator = np.random.default_rng(number)
        x, target = generator.standard_normal((4, 3, 6, 6)), generator.standard_normal((4, 5))
        session.step(
            x, lambda outputs, target=target: {"main": (outputs["main"] - target) / 4}, OPTIMIZER
        )


@pytest.fixture(scope="module")
def expected(opened: Callable[[str], Session]) -> Any:
    session = opened("reference")
    train(session, 0, 2 * STEPS)
    return session.state()


@pytest.mark.parametrize("after", trainers())
@pytest.mark.parametrize("before", trainers())
def test_ten_steps_and_ten_more_are_twenty(
    spec: Spec,
    opened: Callable[[str], Session],
    expected: Any,
    tmp_path: Path,
    before: str,
    after: str,
) -> None:
    session = opened(before)
    train(session, 0, STEPS)
    state = session.state()
    checkpoint.save_checkpoint(
        tmp_path / "half.safetensors",
        {**state.tensors, **state.slots},
        checkpoint.network_metadata(spec.graph, ""),
    )
    session = opened(after)
    session.restore(checkpoint.load_state(WeightSource(tmp_path / "half.safetensors"), spec.graph))
    train(session, STEPS, STEPS)
    found = session.state()
    assert set(found.slots) == set(expected.slots) != set()
    compare_all(found.tensors, expected.tensors, what=f"{before}, then {after}")
    compare_all(found.slots, expected.slots, what=f"slots of {before}, then {after}")


def test_without_the_slots_it_is_another_training(
    opened: Callable[[str], Session], expected: Any
) -> None:
    session = opened("reference")
    train(session, 0, STEPS)
    again = opened("reference")
    again.restore(type(expected)(session.state().tensors))
    train(again, STEPS, STEPS)
    with pytest.raises(AssertionError):
        compare_all(again.state().tensors, expected.tensors, what="without slots")
