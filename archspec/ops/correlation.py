"""Convolutions as matrix products: a correlation, and its transposes by either factor.

y = correlate(x, weight) is linear in both. A transposed convolution computes forward what a
convolution computes backward, so the three functions serve both ops.

>>> import numpy as np
>>> from archspec.ops.window import SlidingWindow
>>> window = SlidingWindow(
...     size=(3,), positions=(2,), kernel=(2,), stride=(1,), dilation=(1,), pads=((0, 0),)
... )
>>> line = Correlation(window, groups=1)
>>> x, weight = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[10.0, 1.0]]])
>>> line.correlate(x, weight).tolist()
[[[12.0, 24.0]]]
>>> line.input_vjp(np.ones((1, 1, 2)), weight).tolist()
[[[10.0, 11.0, 1.0]]]
>>> line.weight_vjp(x, np.ones((1, 1, 2))).tolist()
[[[3.0, 6.0]]]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archspec._numpy import Array
from archspec.ops.window import SlidingWindow, crop_array, fold, pad_array, window_view


@dataclass(frozen=True, slots=True)
class Correlation:
    """Windows over a batch x, times a weight [O, C/groups, *kernel], give y [N, O, *positions]."""

    window: SlidingWindow
    groups: int

    def correlate(self, x: Array, weight: Array) -> Array:
        """Return y: one matrix product for each sample and group."""
        y = self._rows(weight) @ self._columns(x)
        return y.reshape(len(x), -1, *self.window.positions)

    def input_vjp(self, y: Array, weight: Array) -> Array:
        """Return the transpose with respect to x: from the shape of y to that of x."""
        window = self.window
        columns = self._rows(weight).swapaxes(1, 2) @ self._flat(y)
        taps = columns.reshape(len(y), -1, *window.kernel, *window.positions)
        padded = tuple(n + sum(pair) for n, pair in zip(window.size, window.pads, strict=True))
        return crop_array(fold(taps, window.stride, window.dilation, padded), window.pads)

    def weight_vjp(self, x: Array, y: Array) -> Array:
        """Return the transpose with respect to the weight: from x and y's shape to the weight's."""
        products = (self._flat(y) @ self._columns(x).swapaxes(2, 3)).sum(axis=0)
        return products.reshape(y.shape[1], -1, *self.window.kernel)

    def _rows(self, weight: Array) -> Array:
        return weight.reshape(self.groups, len(weight) // self.groups, -1)

    def _flat(self, y: Array) -> Array:
        return y.reshape(len(y), self.groups, -1, math.prod(self.window.positions))

    def _columns(self, x: Array) -> Array:
        """Return the cells under each window, [N, groups, C/groups * kernel, positions]."""
        # Known as im2col: it turns the convolution into a product that BLAS computes.
        window = self.window
        padded = pad_array(x, window.pads)
        taps = window_view(padded, window.kernel, window.stride, window.dilation, window.positions)
        return taps.reshape(len(x), self.groups, -1, math.prod(window.positions))
