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

    `min_bound` is the bound where a network does not amplify rounding. `unit` is what a number is moved by on the way, at
    most, relative to it. A tensor whose bound is above `lost` has lost its digits on the way, as a difference of near
    equals has: a derivative that is zero but for rounding, say. What two engines make of it tells nothing, and it is
    not compared. Nor is one with a value above `largest`, which the arithmetic has no number for.
    """

    min_bound: float
    unit: float
    max_bound: float
    max_value: float


ROUNDING: Mapping[Precision, Rounding] = {
    "float32": Rounding(min_bound=1e-5, unit=2.0**-24, max_bound=1e-2, max_value=2.0**127),
    "float64": Rounding(min_bound=1e-10, unit=2.0**-50, max_bound=1e-3, max_value=2.0**1023),
}
"""The unit is half the last digit in float32. In float64 it is some digits more, so that what ties no longer does."""

MIXED = Rounding(min_bound=1e-7, unit=2.0**-27, max_bound=1e-3, max_value=2.0**1023)
"""In float64 with a constant in float32 somewhere: `SLACK` units are what that constant is off by."""

SLACK = 8
"""Times the jitter that an engine may be away: it rounds at every operation, in its own order."""


def relative_error(found: Array, expected: Array) -> float:
    """The largest |found - expected| relative to the largest |expected|; infinite where a shape or a value is wrong.

    Relative to the whole tensor and not to each value: what cancels to nearly nothing has lost its digits on the way.
    """
    if (
        found.shape != expected.shape
        or not np.isfinite(found).all()
        or not np.isfinite(expected).all()
    ):
        return float("inf")
    if not expected.size:
        return 0.0
    scale = float(np.abs(expected).max())
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    return difference / scale if scale else difference


@dataclass(frozen=True, slots=True)
class Expected:
    """The reference's tensors, and how far each moves when values on the way move by rounding.

    The moved tensors are not kept: there may be memory for few copies of a network's tensors.
    """

    values: Mapping[str, Array]
    moves: Mapping[str, float] = field(default_factory=dict[str, float])

    def widened(self, moved: Mapping[str, Array]) -> Expected:
        """Return the same, widened by the reference's tensors after values on the way have moved."""
        moves = {
            name: max(self.moves.get(name, 0.0), relative_error(moved[name], value))
            for name, value in self.values.items()
        }
        return Expected(self.values, moves)

    def bound(self, name: str, rounding: Rounding) -> float:
        """Return how far a right answer may be from the reference's."""
        return max(rounding.min_bound, SLACK * self.moves.get(name, 0.0))


class Jitter:
    """Moves each number by up to a unit of rounding, of its own size and of the largest beside it.

    The second share is what sums of both signs round by. It also takes values off the places where a derivative jumps:
    where relus bend, and where a largest value is not the only one: with the other sign to the other side.
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
    found: Mapping[str, Array], expected: Expected, rounding: Rounding
) -> Iterator[Distance]:
    """Every expected tensor that is found, in the order of the reference; one that is not is infinitely far.

    A tensor that only `found` has is infinitely far too.
    """
    for name, value in expected.values.items():
        bound = expected.bound(name, rounding)
        away = relative_error(found[name], value) if name in found else float("inf")
        # What is not finite where the reference is has not just lost its digits.
        beyond = not np.abs(value).max(initial=0.0) <= rounding.max_value
        comparable = away < float("inf") or (
            name in found and found[name].shape == value.shape and beyond
        )
        yield Distance(name, away, bound, comparable and (beyond or bound > rounding.max_bound))
    for name in sorted(found.keys() - expected.values.keys()):
        yield Distance(name, float("inf"), 0.0)
