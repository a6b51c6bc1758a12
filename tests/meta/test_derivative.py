"""The check of derivatives, fed wrong ones."""

import numpy as np
import pytest

from tests.helpers.derivative import assert_derivative, shares, slope

X = np.random.default_rng(0).normal(size=(3, 4))
RIGHT = 3 * X**2


def cubes(x: np.ndarray) -> float:
    return float((x**3).sum())


def judge(gradient: np.ndarray, steps: tuple[float, ...] = (1e-4,)) -> None:
    assert_derivative(
        gradient, cubes, X, np.random.default_rng(1), size=float(np.abs(X**3).sum()), steps=steps
    )


def test_the_derivative_passes() -> None:
    judge(RIGHT)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (RIGHT * (1 + 1e-4), "more than"),
        (-RIGHT, "more than"),
        (np.zeros_like(RIGHT), "more than"),
        (RIGHT[::-1], "more than"),
        (np.where(np.arange(12).reshape(3, 4) == 7, 0.0, RIGHT), "more than"),
        (RIGHT * np.nan, "nan"),
        (RIGHT.T, r"float64 of the shape \[4, 3\], expected \[3, 4\]"),
        (RIGHT[:1], "shape"),  # broadcasting would hide it
        (RIGHT.astype(np.float32), "float32"),
    ],
)
def test_a_wrong_one_fails(wrong: np.ndarray, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        judge(wrong)


def test_a_wrong_one_fails_on_two_steps_too() -> None:
    with pytest.raises(AssertionError, match="more than"):
        judge(RIGHT * 1.001, steps=(1e-5, 1e-4))


def test_what_crosses_a_kink_is_passed_over() -> None:
    at = np.array([2e-5])
    kinked = lambda x: float(np.abs(x).sum())
    assert_derivative(
        np.array([7.0]), kinked, at, np.random.default_rng(0), size=1e-3, steps=(1e-6, 1e-4)
    )
    with pytest.raises(AssertionError):
        assert_derivative(
            np.array([7.0]), kinked, at, np.random.default_rng(0), size=1e-3, steps=(1e-7, 1e-6)
        )


def test_the_slope_is_of_fourth_order() -> None:
    assert slope(lambda h: 2 + 3 * h + 5 * h**2 + 7 * h**3 + 11 * h**4, 0.5) == pytest.approx(3)


def test_shares_are_random_and_of_the_outputs_shapes() -> None:
    found = shares({"a": X, "b": X[0]}, np.random.default_rng(0))
    assert {name: y.shape for name, y in found.items()} == {"a": (3, 4), "b": (4,)}
    assert len(np.unique(found["a"])) == 12
