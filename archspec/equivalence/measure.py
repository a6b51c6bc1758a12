"""How far a computed tensor is from the expected one, and how far rounding alone can take it.

>>> import numpy as np
>>> error(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
0.2
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from archspec.session import Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    from archspec import lazy_numpy as np

LEAST: Mapping[Precision, float] = {"float32": 1e-5, "float64": 1e-7}
"""The bound where a network does not amplify rounding: some hundred times what one operation in float32 rounds by. In
float64 it is no finer since frameworks keep constants in float32, as torch's derivative of hardsigmoid does 1/6."""

UNIT: Mapping[Precision, float] = {"float32": 2.0**-24, "float64": 2.0**-27}
"""What a number is moved by on the way, at most, relative to it: by rounding to the nearest in float32; in float64 by
what, `SLACK` times, a constant in float32 does, so that what amplifies rounding may amplify that."""

LOST: Mapping[Precision, float] = {"float32": 1e-2, "float64": 1e-3}
"""A tensor whose bound is above this has lost its digits on the way, as a difference of near equals has: a derivative
that is zero but for rounding, say. What two engines make of it tells nothing, and it is not compared."""

SLACK = 8
"""How many times as far as the jitter an engine may be away: it rounds at every operation, in an order of its own."""


def error(found: Array, expected: Array) -> float:
    """The largest |found - expected| relative to the largest |expected|; infinite where a shape or a value is wrong.

    Relative to the whole tensor and not to each value: what cancels to nearly nothing has lost its digits on the way.
    """
    if found.shape != expected.shape or not np.isfinite(found).all() or not np.isfinite(expected).all():
        return float("inf")
    if not expected.size:
        return 0.0
    scale = float(np.abs(expected).max())
    difference = float(np.abs(found.astype(np.float64) - expected).max())
    return difference / scale if scale else difference


@dataclass(frozen=True, slots=True)
class Expected:
    """What the reference gives, and what it gives when each value on the way moves as far as rounding could move it."""

    values: Mapping[str, Array]
    jittered: Mapping[str, Array]

    def bound(self, name: str, precision: Precision) -> float:
        """How far from it a right answer may be."""
        return max(LEAST[precision], SLACK * error(self.jittered[name], self.values[name]))


class Jitter:
    """Moves each number by up to a unit of rounding, of its own size and of the largest beside it.

    The second share is what sums of both signs round by. It also takes values off the places where a derivative jumps:
    where relus bend, and where a largest value is not the only one.
    """

    def __init__(self, precision: Precision, seed: int) -> None:
        self.unit, self.rng = UNIT[precision], np.random.default_rng(seed)

    def __call__(self, value: Array) -> Array:
        size = np.abs(value) + float(np.abs(value).max(initial=0.0))
        return value + self.unit * size * self.rng.uniform(-1, 1, value.shape)


@dataclass(frozen=True, slots=True)
class Distance:
    """One tensor: its error and the bound that it has to keep."""

    name: str
    error: float
    bound: float
    lost: bool = False

    @property
    def passed(self) -> bool:
        return self.lost or self.error <= self.bound


def distances(found: Mapping[str, Array], expected: Expected, precision: Precision) -> Iterator[Distance]:
    """Every expected tensor that is found, in the order of the reference; one that is not is infinitely far.

    A tensor that only `found` has is infinitely far too.
    """
    for name, value in expected.values.items():
        bound = expected.bound(name, precision)
        away = error(found[name], value) if name in found else float("inf")
        # What is not finite where the reference is has not just lost its digits.
        comparable = away < float("inf") or (name in found and not np.isfinite(value).all())
        yield Distance(name, away, bound, comparable and bound > LOST[precision])
    for name in sorted(found.keys() - expected.values.keys()):
        yield Distance(name, float("inf"), 0.0)
