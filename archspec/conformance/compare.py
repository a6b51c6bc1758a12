"""The one comparison of computed values with expected ones; it raises and returns nothing.

>>> import numpy as np
>>> compare(np.ones((2, 3)), np.ones((2, 3)), what="logits")
>>> compare(np.array([1.0, 2.0]), np.array([1.0, 2.1]), what="logits")
Traceback (most recent call last):
AssertionError: logits: |2.0 - 2.1| = 0.1 at [1], more than 1e-05 of the scale 2.1 (1 of 2 values differ by that much)
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
    """Raises AssertionError unless both are finite, of one shape, and differ by at most `bound * scale` everywhere.

    The scale is the largest |expected|, of the whole tensor and not of each value: what cancels to nearly nothing has
    lost its digits on the way. Another scale can be given where the way there is known.
    """
    found, wanted = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if found.shape != wanted.shape:
        raise AssertionError(
            f"{what}: the shape is {list(found.shape)}, expected {list(wanted.shape)}"
        )
    for name, values in (("found", found), ("expected", wanted)):
        strange = ~np.isfinite(values)
        if strange.any():
            at = _index(strange.argmax(), values)
            raise AssertionError(
                f"{what}: {values[at]} {name} at {list(at)} ({strange.sum()} of {values.size} values)"
            )
    if not found.size:
        raise AssertionError(f"{what}: there is nothing to compare")
    size = float(np.abs(wanted).max()) if scale is None else scale
    difference = np.abs(found - wanted)
    wrong = difference > bound * size
    if wrong.any():
        at = _index(difference.argmax(), difference)
        raise AssertionError(
            f"{what}: |{found[at]} - {wanted[at]}| = {difference[at]:.3g} at {list(at)}, more than {bound:g} of the"
            f" scale {size:.3g} ({wrong.sum()} of {wrong.size} values differ by that much)"
        )


def compare_all(
    actual: Mapping[str, ArrayLike],
    expected: Mapping[str, ArrayLike],
    *,
    bound: float = 1e-5,
    what: str = "values",
) -> None:
    """`compare` for each name, such as a head or a parameter; the names have to be the same."""
    if set(actual) != set(expected) or not expected:
        raise AssertionError(f"{what}: the names are {sorted(actual)}, expected {sorted(expected)}")
    for name, wanted in expected.items():
        compare(actual[name], wanted, bound=bound, what=f"{what} {name}")


def _index(flat: Any, values: Any) -> tuple[int, ...]:
    return tuple(map(int, cast("tuple[Any, ...]", np.unravel_index(flat, values.shape))))
