"""What holds of dropout in whichever way it is drawn: how much is kept, what of it, and when.

A law is tried on a session and a batch, of so many values that no luck passes or fails it.
"""

from __future__ import annotations

import math

from archspec._numpy import Array, np
from archspec.backend.session import Session
from archspec.conformance.compare import compare

RATE = 0.3
"""Not a half, where what is kept is as much as what is dropped."""


def drops_at_its_rate(session: Session, x: Array) -> None:
    """1 - rate of the values, within six deviations: one right answer in 500 million is further off."""
    kept, mean = np.count_nonzero(_dropped(session, x)), x.size * (1 - RATE)
    bound = 6 * math.sqrt(x.size * RATE * (1 - RATE))
    if abs(kept - mean) > bound:
        raise AssertionError(
            f"{kept} of {x.size} values are kept, expected {mean:.0f} within {bound:.0f}"
        )


def scales_what_it_keeps(session: Session, x: Array) -> None:
    """Each value is 0, or divided by 1 - rate."""
    y = _dropped(session, x)
    scales = y[y != 0] / x[y != 0]
    compare(
        scales,
        np.full(scales.shape, 1 / (1 - RATE)),
        bound=1e-6,
        what="what is kept, by what it was",
    )


def draws_anew(session: Session, x: Array) -> None:
    """No two samples are dropped alike, nor one sample in two runs."""
    masks = [row != 0 for _ in range(2) for row in _dropped(session, x)]
    if len({mask.tobytes() for mask in masks}) < len(masks):
        raise AssertionError(
            "the same values are kept again: each sample of each run has draws of its own"
        )


def drops_nothing_in_eval(session: Session, x: Array) -> None:
    """Even where dropout is asked for."""
    compare(
        session.forward(x, dropout=True).outputs["main"],
        x,
        bound=1e-6,
        what="eval mode with dropout",
    )


def _dropped(session: Session, x: Array) -> Array:
    return session.forward(x, train=True, dropout=True).outputs["main"]
