"""Index arithmetic of borders and interpolation: the input positions that each output reads.

An output position is a weighted sum of input positions, its sources, and the derivative adds to
these:

>>> sources = nearest_sources(2, 4, "asymmetric")
>>> weighted_sum(np.array([[[1.0, 2.0]]]), sources, axis=2).tolist()
[[[1.0, 1.0, 2.0, 2.0]]]
>>> weighted_sum_vjp(np.ones((1, 1, 4)), sources, axis=2, size=2).tolist()
[[[2.0, 2.0]]]
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Literal

from archspec._numpy import Array, np

Coordinates = Literal["half_pixel", "align_corners", "asymmetric"]
Sources = Sequence[tuple[Array, Array]]
"""Pairs of arrays (index, weight), with an entry for each output position."""


def border_sources(n: int, pair: tuple[int, int], mode: Literal["reflect", "edge"]) -> Array:
    """Return the positions that an axis of n shows after padding.

    >>> border_sources(3, (1, 1), "reflect").tolist(), border_sources(3, (1, 1), "edge").tolist()
    ([1, 0, 1, 2, 1], [0, 0, 1, 2, 2])
    """
    return np.pad(np.arange(n), pair, mode=mode)


def nearest_sources(n: int, m: int, coordinates: Coordinates) -> Sources:
    """Return the one source of each of m positions on an axis of n."""
    i = np.arange(m)
    # In whole numbers: a rounded n/m would miss by one where i * n/m is whole.
    index = i * n // m if coordinates == "asymmetric" else (2 * i + 1) * n // (2 * m)
    return [(index, np.ones(m))]


def linear_sources(n: int, m: int, coordinates: Coordinates) -> Sources:
    """Return the two sources of each of m positions on an axis of n, below and above it."""
    i = np.arange(m)
    if coordinates == "align_corners":
        at = i * ((n - 1) / (m - 1)) if m > 1 else np.zeros(1)
    else:
        # Outputs that lie before the first position take its value.
        at = np.maximum((i + 0.5) * n / m - 0.5, 0.0)
    below = np.minimum(at.astype(int), n - 1)
    above = (at - below).astype(np.float64)
    return [(below, 1 - above), (np.minimum(below + 1, n - 1), above)]


def weighted_sum(x: Array, sources: Sources, axis: int) -> Array:
    """Return the output positions along an axis of x."""
    parts = [
        np.take(x, index, axis) * _broadcastable(weight, x.ndim, axis) for index, weight in sources
    ]
    return reduce(np.add, parts)


def weighted_sum_vjp(cotangent: Array, sources: Sources, axis: int, size: int) -> Array:
    """Return the derivative by x, whose axis has that size."""
    parts = [
        scatter_add(cotangent * _broadcastable(weight, cotangent.ndim, axis), index, axis, size)
        for index, weight in sources
    ]
    return reduce(np.add, parts)


def scatter_add(taken: Array, index: Array, axis: int, size: int) -> Array:
    """Add values up where they were taken from: the transpose of `np.take(x, index, axis)`.

    `size` is that of the axis of x.

    >>> scatter_add(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 2]), axis=0, size=4).tolist()
    [1.0, 0.0, 6.0, 0.0]
    """
    one_hot = (index[:, None] == np.arange(size)).astype(float)
    return np.moveaxis(np.moveaxis(taken, axis, -1) @ one_hot, -1, axis)


def _broadcastable(values: Array, rank: int, axis: int) -> Array:
    """Shape one number per position of an axis to broadcast over an array of that rank."""
    return values.reshape(-1, *(1,) * (rank - 1 - axis))
