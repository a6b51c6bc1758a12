"""The distance of a computed tensor from the expected one, and how far rounding alone can move it.

>>> import numpy as np
>>> relative_error(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
0.2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from archspec._numpy import Array, np
from archspec.backend.session import Precision


@dataclass(frozen=True, slots=True)
class Rounding:
    """The rounding of an arithmetic, for a comparison.

    `min_bound` is the bound where a network does not amplify rounding. `unit` is how far a number
    moves on the way, at most, relative to it. A tensor whose bound exceeds `max_bound` has lost its
    digits to cancellation, as a derivative that is zero but for rounding has: it is not compared,
    since two engines need not agree on it. Neither is one with a value above `max_value`, which the
    arithmetic cannot represent.
    """

    min_bound: float
    unit: float
    max_bound: float
    max_value: float


ROUNDING: Mapping[Precision, Rounding] = {
    "float32": Rounding(min_bound=1e-5, unit=2.0**-24, max_bound=1e-2, max_value=2.0**127),
    "float64": Rounding(min_bound=1e-10, unit=2.0**-50, max_bound=1e-3, max_value=2.0**1023),
}
"""The unit is half the last digit in float32. In float64 it is a few digits more, to break ties."""

MIXED = Rounding(min_bound=1e-7, unit=2.0**-27, max_bound=1e-3, max_value=2.0**1023)
"""In float64 with a constant in float32, which is off by `SLACK` units."""

SLACK = 8
"""Times the jitter that an engine may be away: it rounds at every operation, in its own order."""


def relative_error(actual: Array, expected: Array) -> float:
    """Return the largest |actual - expected| relative to the largest |expected|.

    It is infinite if the shapes differ or a value is not finite.

    It is relative to the whole tensor, not to each value: values that cancel to nearly nothing have
    lost their digits on the way.
    """
    if (
        actual.shape != expected.shape
        or not np.isfinite(actual).all()
        or not np.isfinite(expected).all()
    ):
        return float("inf")
    if not expected.size:
        return 0.0
    scale = float(np.abs(expected).max())
    difference = float(np.abs(actual.astype(np.float64) - expected).max())
    return difference / scale if scale else difference


@dataclass(frozen=True, slots=True)
class Expected:
    """The reference's tensors, and how far each moves when values on the way move by rounding.

    The moved tensors are not kept: there may be memory for few copies of a network's tensors.
    """

    values: Mapping[str, Array]
    moves: Mapping[str, float] = field(default_factory=dict[str, float])

    def widened(self, moved: Mapping[str, Array]) -> Expected:
        """Return the same, widened by the reference's tensors after values have moved."""
        moves = {
            name: max(self.moves.get(name, 0.0), relative_error(moved[name], value))
            for name, value in self.values.items()
        }
        return Expected(self.values, moves)

    def bound(self, name: str, rounding: Rounding) -> float:
        """Return how far a right answer may be from the reference's."""
        return max(rounding.min_bound, SLACK * self.moves.get(name, 0.0))


class Jitter:
    """Move each number by up to a unit of rounding, of its own size and of the largest beside it.

    The second share is the rounding of sums of both signs. It also moves values off the points
    where a derivative jumps (relus that bend, largest values that tie), to one side for each sign.
    """

    def __init__(self, rounding: Rounding, seed: int, sign: int = 1) -> None:
        self.unit, self.rng = sign * rounding.unit, np.random.default_rng(seed)

    def __call__(self, value: Array) -> Array:
        size = np.abs(value) + float(np.abs(value).max(initial=0.0))
        return value + self.unit * size * self.rng.uniform(-1, 1, value.shape)


@dataclass(frozen=True, slots=True)
class Distance:
    """One tensor: its error and the bound that it has to keep."""

    name: str
    error: float
    bound: float
    cancelled: bool = False

    @property
    def passed(self) -> bool:
        return self.cancelled or self.error <= self.bound


def distances(
    actual: Mapping[str, Array], expected: Expected, rounding: Rounding
) -> Iterator[Distance]:
    """Yield the distance of every expected tensor, in the reference's order.

    A tensor that only one side has is infinitely far.
    """
    for name, value in expected.values.items():
        bound = expected.bound(name, rounding)
        away = relative_error(actual[name], value) if name in actual else float("inf")
        # What is not finite where the reference is has not just lost its digits.
        beyond = not np.abs(value).max(initial=0.0) <= rounding.max_value
        comparable = away < float("inf") or (
            name in actual and actual[name].shape == value.shape and beyond
        )
        yield Distance(name, away, bound, comparable and (beyond or bound > rounding.max_bound))
    for name in sorted(actual.keys() - expected.values.keys()):
        yield Distance(name, float("inf"), 0.0)
