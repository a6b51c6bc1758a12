"""Laws of dropout that hold for any random numbers: how much is dropped, scaled, and when.

Each law takes a session and a batch. The batch has so many values that a law cannot pass or fail
by chance.
"""

from __future__ import annotations

import math

from archspec._numpy import Array, np
from archspec.backend.session import Session
from archspec.conformance.compare import compare

RATE = 0.3
"""Not one half, at which a rate to drop and a rate to keep are the same."""


def drops_at_its_rate(session: Session, x: Array) -> None:
    """Keep 1 - rate of the values.

    Six deviations are allowed: one right answer in 500 million is further off.
    """
    count = np.count_nonzero(_dropped(session, x))
    mean = x.size * (1 - RATE)
    bound = 6 * math.sqrt(x.size * RATE * (1 - RATE))
    if abs(count - mean) > bound:
        raise AssertionError(
            f"{count} of {x.size} values are kept, expected {mean:.0f} within {bound:.0f}"
        )


def scales_what_it_keeps(session: Session, x: Array) -> None:
    """Check that each value is 0, or divided by 1 - rate."""
    y = _dropped(session, x)
    scales = y[y != 0] / x[y != 0]
    compare(
        scales,
        np.full(scales.shape, 1 / (1 - RATE)),
        bound=1e-6,
        what="what is kept, by what it was",
    )


def draws_anew(session: Session, x: Array) -> None:
    """Check that no two samples have the same mask, nor one sample in two runs."""
    masks = [row != 0 for _ in range(2) for row in _dropped(session, x)]
    if len({mask.tobytes() for mask in masks}) < len(masks):
        raise AssertionError(
            "the same values are kept again: each sample of each run has draws of its own"
        )


def drops_nothing_in_eval(session: Session, x: Array) -> None:
    """Check that eval mode drops nothing, even if dropout is asked for."""
    compare(
        session.forward(x, dropout=True).outputs["main"],
        x,
        bound=1e-6,
        what="eval mode with dropout",
    )


def _dropped(session: Session, x: Array) -> Array:
    return session.forward(x, train=True, dropout=True).outputs["main"]
