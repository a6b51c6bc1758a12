"""Several backends on one random spec: a difference fails, is shrunk, kept and tried again."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.backend import Gap, load
from archspec.conformance.backend_under_test import BackendUnderTest
from archspec.conformance.differential import DifferentialTest, stays_in_range
from archspec.conformance.layers import load_text
from archspec.conformance.profile import examples
from archspec.diagnostics import Failure
from archspec.equivalence.inputs import VerifyInputs, fixed_cotangents
from tests.helpers.mutations import fields

TEXT = """archspec: 1
name: net
input: [2, 6, 6]
network: [{conv: {out: 3, kernel: 3}}, tanh, {leaky_relu: {slope: 0.1}}, {max_pool: {kernel: 2, stride: 2, rounding: ceil}}]
"""
STEPS = (
    "tanh",
    "{conv: {out: 3, kernel: 1}}",
    "{avg_pool: {kernel: 1}}",
    "{max_pool: {kernel: 1}}",
    "sigmoid",
)
"""Steps that fit after each other, so that hypothesis shrinks lists of them within seconds."""
TORCH = load("torch")


@pytest.fixture
def under_test() -> Generator[Callable[..., BackendUnderTest]]:
    made: list[BackendUnderTest] = []

    def local(change: Callable[[Any], Any] = lambda backend: backend) -> BackendUnderTest:
        made.append(BackendUnderTest.local(change(TORCH)))
        return made[-1]

    yield local
    for under_test in made:
        with under_test:
            pass


def lenient(**values: Any) -> Callable[[Any], Any]:
    """A backend that changes fields where there are such, and is as it was elsewhere."""

    def change(backend: Any) -> Any:
        wrong = fields(**values)(backend)

        def emit(*given: Any, **options: Any) -> Any:
            try:
                return wrong.emit(*given, **options)
            except AssertionError:  # nothing to change
                return backend.emit(*given, **options)

        return replace(backend, emit=emit)

    return change


def failing(backend: Any) -> Any:
    """A backend that raises where there is a pool."""

    def opened(folder: Path, graph: Any, precision: Any) -> Any:
        if any(node.op.kind == "max_pool" for node in graph.nodes):
            raise Failure("no pools today")
        return backend.open(folder, graph, precision)

    return replace(backend, open=opened)


def test_what_agrees_passes(under_test: Callable[..., BackendUnderTest]) -> None:
    differential = DifferentialTest([under_test(), under_test()])
    differential.check(TEXT, 0)
    differential.search(lambda: differential.check(TEXT, 1))
    assert differential.failing is None


def test_the_one_that_differs_fails(under_test: Callable[..., BackendUnderTest]) -> None:
    differential = DifferentialTest([under_test(), under_test(lenient(slope=0.3))])
    with pytest.raises(
        AssertionError, match=r"torch, eval: activations first differ at leaky_relu"
    ):
        differential.check(TEXT, 7)
    assert differential.failing == (TEXT, 7)


def test_one_that_raises_fails_too(under_test: Callable[..., BackendUnderTest]) -> None:
    with pytest.raises(AssertionError, match="torch: no pools today"):
        DifferentialTest([under_test(failing)]).check(TEXT, 0)


def test_a_gap_is_left_out(under_test: Callable[..., BackendUnderTest]) -> None:
    def gap(backend: Any) -> Any:
        return replace(
            lenient(slope=0.3)(backend),
            lowered=set(backend.lowered) - {"conv"},
            gaps={"conv": Gap("X1", "It cannot.")},
        )

    DifferentialTest([under_test(gap)]).check(TEXT, 0)
    with pytest.raises(AssertionError):
        DifferentialTest([under_test(gap)]).check(
            TEXT.replace("{conv: {out: 3, kernel: 3}}, ", ""), 0
        )


@pytest.mark.parametrize(
    ("change", "kind"), [(lenient(slope=0.3), "leaky_relu"), (failing, "max_pool")]
)
def test_it_is_shrunk_kept_and_tried_again(
    under_test: Callable[..., BackendUnderTest],
    change: Callable[[Any], Any],
    kind: str,
    tmp_path: Path,
) -> None:
    differential = DifferentialTest([under_test(change)], tmp_path / "kept")
    with pytest.raises(
        AssertionError, match="the smallest spec with a difference, kept as .*yaml, with seed 0:"
    ) as caught:
        differential.search(lambda: differential.check(TEXT, 0))
    (kept,) = (tmp_path / "kept").iterdir()
    text = kept.read_text()
    assert text in str(caught.value)
    assert [node.op.kind for node in load_text(text).graph.nodes[1:]] == [kind]
    with pytest.raises(AssertionError):
        DifferentialTest([under_test(change)]).check(text, 0)
    DifferentialTest([under_test()]).check(text, 0)
    with pytest.raises(AssertionError):  # the same file, and not a second one
        differential.search(lambda: differential.check(TEXT, 0))
    assert list((tmp_path / "kept").iterdir()) == [kept]


def test_a_property_is_searched(
    under_test: Callable[..., BackendUnderTest], tmp_path: Path
) -> None:
    differential = DifferentialTest([under_test(failing)], tmp_path, modes=["eval"])

    @examples(60)
    @given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=6), st.integers(0, 9))
    def holds(steps: list[str], number: int) -> None:
        text = TEXT.replace(TEXT[TEXT.index("[{") :], f"[{', '.join(steps)}]\n")
        differential.check(text, number)

    with pytest.raises(AssertionError, match="the smallest spec with a difference") as caught:
        differential.search(holds)
    assert "network: [{max_pool: {kernel: 1}}]" in str(caught.value)


def test_a_test_that_fails_by_itself_is_not_shrunk() -> None:
    def test() -> None:
        raise AssertionError("something else")

    with pytest.raises(AssertionError, match="^something else$"):
        DifferentialTest([]).search(test)


def test_nothing_is_kept_where_no_folder_is_named(
    under_test: Callable[..., BackendUnderTest],
) -> None:
    differential = DifferentialTest([under_test(failing)])
    with pytest.raises(AssertionError, match="the smallest spec with a difference, with seed 0:"):
        differential.search(lambda: differential.check(TEXT, 0))


def test_a_network_whose_values_leave_single_precision_is_left_out(
    under_test: Callable[..., BackendUnderTest],
) -> None:
    """x^65 is 1e45 where x is 5."""
    steps = "".join(f"  - multiply: {{a{i}: [], b{i}: []}}\n" for i in range(6))
    last = "  - multiply: {a: [], b: [{from: input, leaky_relu: {slope: 0.1}}]}\n"
    grown = f"archspec: 1\nname: net\ninput: [40]\nnetwork:\n{steps}{last}"
    spec, wrong = load_text(grown), under_test(lenient(slope=0.3))
    assert not stays_in_range(
        spec.graph, VerifyInputs({}, np.full((3, 40), 5.0), fixed_cotangents(spec.graph, 0))
    )
    assert stays_in_range(
        spec.graph, VerifyInputs({}, np.ones((3, 40)), fixed_cotangents(spec.graph, 0))
    )
    DifferentialTest([wrong]).check(grown, 0)
    with pytest.raises(AssertionError, match="leaky_relu"):
        DifferentialTest([wrong]).check(grown.replace(steps, ""), 0)
