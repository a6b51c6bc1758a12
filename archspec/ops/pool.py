"""Pools: the largest or the mean value of a window, of the whole map, or of a number of bins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import reduce
from itertools import accumulate

from pydantic import Field

from archspec._numpy import Array, np
from archspec.ir.op import MAX_PERIOD, Derivatives, EvalContext, Op, Reads, ShapeError, Window
from archspec.ir.types import Padding, Pads, Shape, Size
from archspec.ops import window
from archspec.ops.window import Rounding, SlidingWindow


class _Pool(Op):
    """A pool: it keeps the channels and has no parameters."""

    family = "pool"
    depth = "pool"


class _Sliding(_Pool):
    """A pool whose window slides over the input.

    A lowering reads the fields, and `axes`, `pads` and `sliding_window` for an input's shape.
    """

    kernel: Size = Field(description="Size of the window: 3, 3x5, [3, 5].")
    stride: Size | None = Field(
        default=None, description="Step of the window; the kernel's size where it is not given."
    )
    padding: Padding = Field(
        default=0, description="Border around the input: numbers per side, or a rule."
    )
    rounding: Rounding = Field(
        default="floor", description="`ceil`: a last window may hang over the end."
    )

    def axes(self, shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return kernel, stride and dilation, with a number per axis."""
        rank = len(window.spatial_size(shape, self.kind))
        kernel = window.per_axis(self.kernel, rank, "kernel")
        return kernel, window.per_axis(self.stride or self.kernel, rank, "stride"), (1,) * rank

    def pads(self, shape: Shape) -> Pads:
        """Return the padding (before, after) per axis, without the overhang of `rounding: ceil`."""
        kernel, stride, dilation = self.axes(shape)
        return window.pads(self.padding, shape[1:], kernel, stride, dilation)

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        pads, axes = self.pads(x), self.axes(x)
        out = window.output_size(x[1:], pads, *axes, self.rounding)
        for n, (before, _), o, k, s, d in zip(x[1:], pads, out, *axes, strict=True):
            if _has_empty_window(n, before, o, k, s, d):
                message = (
                    f"a window of {self.kind} holds nothing but padding around an input of {n}"
                )
                raise ShapeError("AS0304", message, "pad less than the window is wide", "padding")
        return (x[0], *out)

    def sliding_window(self, shape: Shape) -> SlidingWindow:
        """Return the window for an input of this shape, all that a lowering needs to pad."""
        kernel, stride, dilation = self.axes(shape)
        return SlidingWindow(
            size=shape[1:],
            positions=self.shape(shape)[1:],
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            pads=self.pads(shape),
            count_border=self._counts_border(),
        )

    def _counts_border(self) -> bool:
        return False

    def window(self, *inputs: Shape) -> Window:
        return self.sliding_window(inputs[0]).reads()

    def _taps(self, x: Array, border: float, overhang: float) -> Array:
        """Return the cells under each window of a batch, [N, C, taps, *out].

        `border` is the value of the padding, `overhang` that of the cells `ceil` adds.
        """
        sliding = self.sliding_window(x.shape[1:])
        x = window.pad_array(x, sliding.pads, border)
        x = window.pad_array(x, sliding.overhang, overhang)
        taps = window.window_view(
            x, sliding.kernel, sliding.stride, sliding.dilation, sliding.positions
        )
        return taps.reshape(*x.shape[:2], -1, *sliding.positions)

    def _fold(self, taps: Array, shape: Shape) -> Array:
        """Add window cells up in a batch of samples of that shape: the transpose of `_taps`."""
        sliding = self.sliding_window(shape)
        rows = zip(sliding.size, sliding.pads, sliding.overhang, strict=True)
        padded = tuple(n + sum(pair) + over for n, pair, (_, over) in rows)
        taps = taps.reshape(*taps.shape[:2], *sliding.kernel, *taps.shape[3:])
        x = window.fold(taps, sliding.stride, sliding.dilation, padded)
        return window.crop_array(window.crop_array(x, sliding.overhang), sliding.pads)


def _has_empty_window(
    n: int, before: int, out: int, kernel: int, stride: int, dilation: int
) -> bool:
    """Return whether some window has no tap inside an axis of n."""
    # The first window lies in the padding before the input, or the last one past its end.
    if before > dilation * (kernel - 1) or (out - 1) * stride - before >= n:
        return True
    # Taps further apart than n step over it from most positions: only a single window in the
    # border can have one inside.
    return (
        dilation > n
        and before > 0
        and (min(out, -(-before // stride)) > 1 or -before % dilation >= n)
    )


def _max_vjp(x: Array, axis: int, share: Array) -> Array:
    """Return the derivative of a maximum along an axis, which goes to the first largest value."""
    derivative = np.zeros_like(x)
    index = np.expand_dims(x.argmax(axis), axis)
    np.put_along_axis(derivative, index, np.expand_dims(share, axis), axis)
    return derivative


class MaxPool(_Sliding):
    """The largest value in each window; padding counts as minus infinity.

    >>> MaxPool(kernel=3, stride=2, rounding="ceil").shape((64, 112, 112))
    (64, 56, 56)
    """

    kind = "max_pool"

    dilation: Size = Field(default=(1,), description="Distance between the window's taps.")

    def axes(self, shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        kernel, stride, _ = super().axes(shape)
        return kernel, stride, window.per_axis(self.dilation, len(kernel), "dilation")

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return self._taps(x, -np.inf, -np.inf).max(axis=2)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        return (
            self._fold(_max_vjp(self._taps(x, -np.inf, -np.inf), 2, cotangent), x.shape[1:]),
        ), {}


class AvgPool(_Sliding):
    """The mean of each window.

    Border zeros only count with `count_include_pad`; the overhang of `rounding: ceil` never counts.

    >>> AvgPool(kernel=7, stride=1).shape((1024, 7, 7))
    (1024, 1, 1)
    """

    kind = "avg_pool"

    count_include_pad: bool = Field(default=False, description="Border zeros count in the mean.")

    def _counts_border(self) -> bool:
        return self.count_include_pad

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return self._taps(x, 0.0, 0.0).sum(axis=2) / self._count(x)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        share = (cotangent / self._count(x))[:, :, None]
        taps = math.prod(self.axes(x.shape[1:])[0])
        return (self._fold(np.repeat(share, taps, axis=2), x.shape[1:]),), {}

    def _count(self, x: Array) -> Array:
        """Return the number of cells that count in each window."""
        ones = np.ones_like(x[:1, :1])
        return self._taps(ones, float(self.count_include_pad), 0.0).sum(axis=2)


class _Global(_Pool):
    """A single window that covers the whole map."""

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], *(1,) * len(window.spatial_size(x, self.kind)))

    def window(self, *inputs: Shape) -> Window:
        return tuple(map(Reads.sliding, inputs[0][1:]))


class GlobalAvgPool(_Global):
    """The mean of each channel over all positions.

    >>> GlobalAvgPool().shape((1024, 7, 7))
    (1024, 1, 1)
    """

    kind = "global_avg_pool"

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return inputs[0].mean(axis=tuple(range(2, inputs[0].ndim)), keepdims=True)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        return (np.full_like(x, cotangent / math.prod(x.shape[2:])),), {}


class GlobalMaxPool(_Global):
    """The largest value of each channel over all positions.

    >>> GlobalMaxPool().shape((128, 60))
    (128, 1)
    """

    kind = "global_max_pool"

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return inputs[0].max(axis=tuple(range(2, inputs[0].ndim)), keepdims=True)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        flat = x.reshape(*x.shape[:2], -1)
        return (_max_vjp(flat, 2, cotangent.reshape(flat.shape[:2])).reshape(x.shape),), {}


class _Adaptive(_Pool):
    """A pool of `size` bins: bin i of m over n cells is floor(i*n/m) to ceil((i+1)*n/m).

    Bins may overlap.
    """

    size: Size = Field(description="Size of the output: 7, 7x5, [7, 5].")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], *window.per_axis(self.size, len(window.spatial_size(x, self.kind)), "size"))

    def window(self, *inputs: Shape) -> Window:
        rows = zip(inputs[0][1:], self.shape(*inputs)[1:], strict=True)
        return tuple(_bin_reads(n, m) for n, m in rows)

    def _bins(self, shape: Shape, axis: int) -> list[slice]:
        """Return the bins of one axis of a batch, for samples of that shape."""
        n, m = shape[axis - 1], self.shape(shape)[axis - 1]
        return [slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]

    def _pool(self, cells: Array) -> Array:
        """Return the value of a bin, whose cells lie along the first axis."""
        raise TypeError(f"{type(self).__name__} declares no pool")

    def _unpool(self, cells: Array, share: Array) -> Array:
        """Return the derivative by each cell of a bin, given that by its value."""
        raise TypeError(f"{type(self).__name__} declares no derivative")

    def _along(self, x: Array, shape: Shape, axis: int) -> Array:
        cells = np.moveaxis(x, axis, 0)
        return np.stack([self._pool(cells[part]) for part in self._bins(shape, axis)], axis)

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        # The last axis first, so that of equal values the first in row-major order is taken.
        return reduce(lambda y, axis: self._along(y, x.shape[1:], axis), self._order(x), x)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        shape = x.shape[1:]
        order = self._order(x)
        entered = list(
            accumulate(order[:-1], lambda y, axis: self._along(y, shape, axis), initial=x)
        )
        share = cotangent
        for y, axis in zip(reversed(entered), reversed(order), strict=True):
            cells = np.moveaxis(y, axis, 0)
            derivative = np.zeros_like(cells)
            shares = np.moveaxis(share, axis, 0)
            for bin_cells, bin_share in zip(self._bins(shape, axis), shares, strict=True):
                derivative[bin_cells] += self._unpool(cells[bin_cells], bin_share)
            share = np.moveaxis(derivative, 0, axis)
        return (share,), {}

    def _order(self, x: Array) -> range:
        return range(x.ndim - 1, 1, -1)


def _bin_reads(n: int, m: int) -> Reads:
    """Return the cells of each of m bins over n cells."""
    common = math.gcd(n, m)
    period = m // common
    if period > MAX_PERIOD:
        widest = -(-(n + m - common) // m)
        return Reads((Fraction(0),), (Fraction(widest - 1),), Fraction(n, m))
    first = tuple(i * n // m for i in range(period))
    last = tuple(-(-(i + 1) * n // m) - 1 for i in range(period))
    return Reads(first, last, n // common)


class AdaptiveAvgPool(_Adaptive):
    """The mean of each of `size` bins.

    >>> AdaptiveAvgPool(size=7).shape((512, 13, 9))
    (512, 7, 7)
    """

    kind = "adaptive_avg_pool"

    def _pool(self, cells: Array) -> Array:
        return cells.mean(axis=0)

    def _unpool(self, cells: Array, share: Array) -> Array:
        return share / len(cells)


class AdaptiveMaxPool(_Adaptive):
    """The largest value of each of `size` bins.

    >>> AdaptiveMaxPool(size=[4, 2]).shape((32, 9, 9))
    (32, 4, 2)
    """

    kind = "adaptive_max_pool"

    def _pool(self, cells: Array) -> Array:
        return cells.max(axis=0)

    def _unpool(self, cells: Array, share: Array) -> Array:
        return _max_vjp(cells, 0, share)


OPS = (MaxPool, AvgPool, GlobalAvgPool, GlobalMaxPool, AdaptiveAvgPool, AdaptiveMaxPool)
