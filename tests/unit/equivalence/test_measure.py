"""Errors and bounds, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archspec.equivalence.inputs import verify_inputs
from archspec.equivalence.measure import (
    MIXED,
    ROUNDING,
    SLACK,
    Distance,
    Expected,
    Jitter,
    Rounding,
    distances,
    relative_error,
)
from archspec.equivalence.modes import expected_values
from tests.helpers.specs import checked

SINGLE, DOUBLE = ROUNDING["float32"], ROUNDING["float64"]
RIGHT = np.array([[1.0, -4.0], [0.0, 2.0]])


@pytest.mark.parametrize(
    ("found", "expected", "far"),
    [
        (RIGHT, RIGHT, 0.0),
        (RIGHT + [[0, 0], [0.5, 0]], RIGHT, 0.5 / 4),  # of the largest value, not of its own
        (RIGHT - [[0, 1.0], [0.5, 0]], RIGHT, 1 / 4),
        (RIGHT.astype(np.float32), RIGHT, 0.0),
        (RIGHT[None], RIGHT, np.inf),
        (RIGHT[:1], RIGHT, np.inf),  # broadcasting would hide it
        (np.array(1.0), np.array([1.0]), np.inf),
        (RIGHT * [[1, 1], [np.nan, 1]], RIGHT, np.inf),
        (np.array([np.inf]), np.array([np.inf]), np.inf),
        (np.array([1.0]), np.array([np.nan]), np.inf),
        (np.zeros((0, 3)), np.zeros((0, 3)), 0.0),
        (np.array([1e-9]), np.array([0.0]), 1e-9),  # nothing to be relative to
    ],
)
def test_error(found: Any, expected: Any, far: float) -> None:
    assert relative_error(found, expected) == far


def test_the_bound_is_the_least_one_where_nothing_is_amplified() -> None:
    known = Expected({"y": RIGHT}).widened({"y": RIGHT * (1 + 1e-9)})
    assert [known.bound("y", rounding) for rounding in (SINGLE, MIXED)] == [1e-5, 1e-7]
    assert Expected({"y": RIGHT}).widened({"y": RIGHT * (1 + 1e-12)}).bound("y", DOUBLE) == 1e-10


def test_the_bound_follows_what_rounding_does() -> None:
    known = Expected({"y": RIGHT}).widened({"y": RIGHT + [[0, 4e-3], [0, 0]]})
    assert known.bound("y", SINGLE) == pytest.approx(SLACK * 1e-3)


def test_the_widest_of_what_rounding_does_counts_whichever_comes_first() -> None:
    near, far = ({"y": RIGHT + [[0, way], [0, 0]]} for way in (4e-3, 8e-3))
    for one, other in ((near, far), (far, near)):
        known = Expected({"y": RIGHT}).widened(one).widened(other)
        assert known.bound("y", SINGLE) == pytest.approx(SLACK * 2e-3)


@pytest.mark.parametrize("rounding", [SINGLE, DOUBLE, MIXED])
def test_jitter_is_within_rounding_of_the_value_and_of_the_largest(rounding: Rounding) -> None:
    values = np.random.default_rng(0).standard_normal(10_000)
    moved = np.abs(Jitter(rounding, 0)(values) - values)
    reach = rounding.unit * (np.abs(values) + np.abs(values).max())
    slack = 2.0**-53 * np.abs(values)  # the sum itself is rounded
    assert (moved <= reach + 2 * slack).all()
    assert moved.max() > 0.9 * rounding.unit * np.abs(values).max()
    assert np.isfinite(Jitter(rounding, 0)(np.zeros((0, 2)))).all()


def judged(found: dict[str, Any], **expected: Any) -> list[Distance]:
    return list(distances(found, Expected(expected), SINGLE))


def test_a_tensor_that_is_missing_or_of_another_shape_is_infinitely_far() -> None:
    missing, other, same = judged({"b": RIGHT.T[:1], "c": RIGHT}, a=RIGHT, b=RIGHT, c=RIGHT)
    assert (missing.name, missing.error, missing.passed) == ("a", np.inf, False)
    assert (other.name, other.error, other.passed) == ("b", np.inf, False)
    assert same.passed


def test_a_tensor_too_many_is_infinitely_far() -> None:
    found = judged({"a": RIGHT, "z": RIGHT, "y": RIGHT}, a=RIGHT)
    assert [(distance.name, distance.passed) for distance in found] == [
        ("a", True),
        ("y", False),
        ("z", False),
    ]


def test_the_bound_itself_is_near_enough_and_a_bit_more_is_not() -> None:
    (near,) = judged({"a": np.array([1 + 0.99e-5])}, a=np.array([1.0]))
    (far,) = judged({"a": np.array([1 + 1.01e-5])}, a=np.array([1.0]))
    assert near.passed
    assert not far.passed


def test_a_derivative_that_is_zero_but_for_rounding_is_lost() -> None:
    """Batch norm takes the mean off: what shifts every sample before it changes nothing."""
    graph = checked(
        "archspec: 1\nname: net\ninput: [2]\nnetwork: [{linear: {out: 1}}, batch_norm]\n"
    ).graph
    given = verify_inputs(graph, 0, 3)
    known = expected_values(graph, given, "grad", DOUBLE)["gradients"]
    assert np.abs(known.values["linear.bias"]).max() < 1e-12
    assert known.bound("linear.bias", DOUBLE) > DOUBLE.max_bound
    assert known.bound("linear.weight", DOUBLE) < 1e-5


def test_what_is_lost_in_rounding_is_not_compared_but_has_to_be_there() -> None:
    lost = Expected({"g": np.array([1e-17])}).widened({"g": np.array([2e-17])})
    assert lost.bound("g", DOUBLE) > DOUBLE.max_bound

    def passed(found: dict[str, Any]) -> bool:
        (distance,) = distances(found, lost, DOUBLE)
        return distance.passed

    assert passed({"g": np.array([-3e-17])})
    assert not passed({})
    assert not passed({"g": np.zeros((1, 1))})
    assert not passed({"g": np.array([np.nan])})


def test_where_the_reference_is_not_finite_nothing_can_be_told() -> None:
    known = Expected({"y": np.array([np.inf])}).widened({"y": np.array([np.nan])})
    (distance,) = distances({"y": np.array([np.nan])}, known, SINGLE)
    assert distance.cancelled


@pytest.mark.parametrize(
    ("value", "rounding", "lost"),
    [(1e39, SINGLE, True), (1e39, DOUBLE, False), (1e38, SINGLE, False)],
)
def test_what_the_arithmetic_has_no_number_for_is_not_compared(
    value: float, rounding: Rounding, lost: bool
) -> None:
    known = Expected({"y": np.array([1.0, -value])}).widened({"y": np.array([1.0, -value])})
    (found,) = distances({"y": np.array([1.0, -np.inf])}, known, rounding)
    assert (found.cancelled, found.passed) == (lost, lost)
