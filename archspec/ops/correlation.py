"""The arithmetic of convolutions, as matrix products: a correlation, and its transposes by either factor.

y = correlate(x, weight) is linear in both. What a convolution computes forward, its transpose computes backward: the
three functions serve both ops.

>>> import numpy as np
>>> line = Correlation(kernel=(2,), stride=(1,), dilation=(1,), pads=((0, 0),), groups=1, size=(3,), out=(2,))
>>> x, weight = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[10.0, 1.0]]])
>>> line.correlate(x, weight).tolist()
[[[12.0, 24.0]]]
>>> line.input_vjp(np.ones((1, 1, 2)), weight).tolist(), line.weight_vjp(x, np.ones((1, 1, 2))).tolist()
([[[10.0, 11.0, 1.0]]], [[[3.0, 6.0]]])
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archspec._numpy import Array
from archspec.ir.types import Pads, Shape
from archspec.ops import window


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Windows over a batch x [N, C, *size], times a weight [O, C/groups, *kernel], give y [N, O, *out]."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    groups: int
    size: Shape
    out: Shape

    def correlate(self, x: Array, weight: Array) -> Array:
        """y: one matrix product for each sample and group."""
        return (self._rows(weight) @ self._columns(x)).reshape(len(x), -1, *self.out)

    def input_vjp(self, y: Array, weight: Array) -> Array:
        """The transpose with respect to x: from the shape of y to that of x."""
        columns = self._rows(weight).swapaxes(1, 2) @ self._flat(y)
        taps = columns.reshape(len(y), -1, *self.kernel, *self.out)
        padded = tuple(n + sum(pair) for n, pair in zip(self.size, self.pads, strict=True))
        return window.crop_array(window.fold(taps, self.stride, self.dilation, padded), self.pads)

    def weight_vjp(self, x: Array, y: Array) -> Array:
        """The transpose with respect to the weight: from x and the shape of y to that of the weight."""
        products = (self._flat(y) @ self._columns(x).swapaxes(2, 3)).sum(axis=0)
        return products.reshape(y.shape[1], -1, *self.kernel)

    def _rows(self, weight: Array) -> Array:
        return weight.reshape(self.groups, len(weight) // self.groups, -1)

    def _flat(self, y: Array) -> Array:
        return y.reshape(len(y), self.groups, -1, math.prod(self.out))

    def _columns(self, x: Array) -> Array:
        """[N, groups, C/groups * kernel, out]: what each tap of the window sees from every place."""
        padded = window.pad_array(x, self.pads)
        taps = window.window_view(padded, self.kernel, self.stride, self.dilation, self.out)
        return taps.reshape(len(x), self.groups, -1, math.prod(self.out))
