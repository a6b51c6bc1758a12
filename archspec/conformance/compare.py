"""The one comparison of computed values with expected ones. It raises, and returns nothing.

>>> import numpy as np
>>> compare(np.ones((2, 3)), np.ones((2, 3)), what="logits")
>>> compare(np.array([1.0, 2.0]), np.array([1.0, 2.1]), what="logits")
Traceback (most recent call last):
AssertionError: logits: |2.0 - 2.1| = 0.1 at [1], more than 1e-05 of the scale 2.1
(1 of 2 values differ by that much)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from numpy.typing import ArrayLike

from archspec._numpy import np


def compare(
    actual: ArrayLike,
    expected: ArrayLike,
    *,
    bound: float = 1e-5,
    scale: float | None = None,
    what: str = "values",
) -> None:
    """Raise AssertionError unless both are finite and equal within `bound * scale` everywhere.

    Shapes have to be equal too. The scale is the largest |expected| of the whole tensor, not of
    each value: a value that cancels to nearly nothing has lost its digits on the way. Give another
    scale if you know how the values came about.
    """
    values = np.asarray(actual, np.float64)
    reference = np.asarray(expected, np.float64)
    if values.shape != reference.shape:
        shapes = f"{list(values.shape)}, expected {list(reference.shape)}"
        raise AssertionError(f"{what}: the shape is {shapes}")
    _check_finite(values, f"{what}: {{}} found")
    _check_finite(reference, f"{what}: {{}} expected")
    if not values.size:
        raise AssertionError(f"{what}: there is nothing to compare")
    size = float(np.abs(reference).max()) if scale is None else scale
    difference = np.abs(values - reference)
    wrong = difference > bound * size
    if wrong.any():
        at = _index(difference.argmax(), difference)
        raise AssertionError(
            f"{what}: |{values[at]} - {reference[at]}| = {difference[at]:.3g} at {list(at)},"
            f" more than {bound:g} of the scale {size:.3g}"
            f" ({wrong.sum()} of {wrong.size} values differ by that much)"
        )


def _check_finite(values: Any, message: str) -> None:
    strange = ~np.isfinite(values)
    if strange.any():
        at = _index(strange.argmax(), values)
        count = f"({strange.sum()} of {values.size} values)"
        raise AssertionError(f"{message.format(values[at])} at {list(at)} {count}")


def compare_all(
    actual: Mapping[str, ArrayLike],
    expected: Mapping[str, ArrayLike],
    *,
    bound: float = 1e-5,
    what: str = "values",
) -> None:
    """Compare the values of each name, such as a head or a parameter; names have to be equal."""
    if set(actual) != set(expected) or not expected:
        raise AssertionError(f"{what}: the names are {sorted(actual)}, expected {sorted(expected)}")
    for name, value in expected.items():
        compare(actual[name], value, bound=bound, what=f"{what} {name}")


def _index(flat: Any, values: Any) -> tuple[int, ...]:
    return tuple(map(int, cast("tuple[Any, ...]", np.unravel_index(flat, values.shape))))
