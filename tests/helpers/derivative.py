"""Derivatives held against differences of the function itself, along a random direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archspec.conformance.compare import compare

Array = NDArray[np.float64]


def slope(value: Callable[[float], float], h: float = 1e-4) -> float:
    """The derivative at 0 by central differences of fourth order."""
    return (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)


def assert_derivative(
    gradient: Array,
    value: Callable[[Array], float],
    at: Array,
    rng: np.random.Generator,
    *,
    size: float,
    steps: Sequence[float] = (1e-4,),
    what: str = "derivative",
) -> None:
    """Raise AssertionError unless `gradient` is that of `value`, along a direction from `rng`.

    `size` is the sum of |terms| in the value, whose differences are exact to about 1e-12 of it.
    With two steps or more a direction is passed over where these disagree: one of them crosses a
    kink.
    """
    if gradient.shape != at.shape or gradient.dtype != np.float64:
        raise AssertionError(
            f"{what}: {gradient.dtype} of the shape {list(gradient.shape)}, expected {list(at.shape)}"
        )
    direction = rng.uniform(-1, 1, at.shape)
    slopes = [slope(lambda h: value(at + h * direction), step) for step in steps]
    scale = abs(slopes[0]) + 0.01 * size
    if all(abs(other - slopes[0]) < 1e-7 * scale for other in slopes[1:]):
        compare((gradient * direction).sum(), slopes[0], bound=1e-6, scale=scale, what=what)


def shares(outputs: dict[str, Any], rng: np.random.Generator) -> dict[str, Array]:
    """A random cotangent for each output; the loss is the sum of every output times its own."""
    return {name: rng.uniform(-1, 1, y.shape) for name, y in outputs.items()}
