"""The conformance kit's comparison, fed wrong answers."""

import numpy as np
import pytest

from archspec.conformance.compare import compare, compare_all

RIGHT = np.random.default_rng(0).normal(size=(2, 3, 4, 4))


def changed(at: tuple[int, ...], value: float) -> np.ndarray:
    wrong = RIGHT.copy()
    wrong[at] = value
    return wrong


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (RIGHT[:, :, :, :3], r"the shape is \[2, 3, 4, 3\], expected \[2, 3, 4, 4\]"),
        (RIGHT[..., None], "the shape is"),
        (RIGHT[:1], "the shape is"),  # broadcasting would hide it
        (RIGHT.mean(), r"the shape is \[\]"),
        (changed((1, 2, 3, 0), np.nan), r"nan found at \[1, 2, 3, 0\] \(1 of 96 values\)"),
        (changed((0, 0, 0, 1), np.inf), "inf found"),
        (
            changed((1, 0, 2, 3), RIGHT[1, 0, 2, 3] + 1e-4),
            r"at \[1, 0, 2, 3\], more than 1e-05 .*\(1 of 96",
        ),
        (RIGHT.swapaxes(2, 3), "logits: .* more than"),
        (RIGHT[::-1], "more than"),
        (np.zeros_like(RIGHT), "more than"),
        (RIGHT * (1 + 3e-5), "more than"),
        (RIGHT * 1e6, "more than"),
    ],
)
def test_a_wrong_answer_fails(wrong: np.ndarray, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        compare(wrong, RIGHT, what="logits")


def test_a_right_answer_passes_and_gives_nothing_to_drop() -> None:
    assert compare(RIGHT + 1e-6, RIGHT) is None
    assert compare(np.zeros(3), np.zeros(3)) is None


def test_a_large_wrong_answer_does_not_widen_its_own_bound() -> None:
    with pytest.raises(AssertionError, match="of the scale 1 "):
        compare(np.array([1000.0]), np.array([1.0]), bound=1.0)


def test_the_bound_is_of_the_scale_of_the_whole_tensor() -> None:
    compare(np.array([1000.0, 1e-3]), np.array([1000.0, 0.0]))
    with pytest.raises(AssertionError, match="at .1., more than 1e-07 of the scale 1e"):
        compare(np.array([1000.0, 1e-3]), np.array([1000.0, 0.0]), bound=1e-7)
    with pytest.raises(AssertionError, match="scale 0.001"):
        compare(np.array([1.0]), np.array([1.1]), scale=1e-3)


def test_what_is_expected_has_to_mean_something() -> None:
    with pytest.raises(AssertionError, match="nan expected"):
        compare(RIGHT, changed((0, 0, 0, 0), np.nan))
    with pytest.raises(AssertionError, match="inf"):
        compare(np.array([np.inf]), np.array([np.inf]))
    with pytest.raises(AssertionError, match="nothing to compare"):
        compare(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(AssertionError, match="more than"):
        compare(np.array([1e-9]), np.array([0.0]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"main": RIGHT[1], "aux1": RIGHT[0]},  # swapped
        {"main": RIGHT[0]},
        {"main": RIGHT[0], "aux1": RIGHT[1], "aux2": RIGHT[1]},
        {"main": RIGHT[0], "aux2": RIGHT[1]},
        {},
    ],
)
def test_wrong_heads_fail(wrong: dict[str, np.ndarray]) -> None:
    right = {"main": RIGHT[0], "aux1": RIGHT[1]}
    compare_all(right, right, what="heads")
    with pytest.raises(AssertionError, match="heads"):
        compare_all(wrong, right, what="heads")


def test_no_heads_are_no_agreement() -> None:
    with pytest.raises(AssertionError):
        compare_all({}, {}, what="heads")
