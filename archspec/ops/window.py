"""The arithmetic of sliding windows for convolutions and pools: padding, output sizes, numpy views.

A lowering gets all of it from the op as one `SlidingWindow`:

>>> from archspec.ops.pool import MaxPool
>>> window = MaxPool(kernel=3, stride=2, rounding="ceil").sliding_window((64, 112, 112))
>>> window.kernel, window.stride, window.positions
((3, 3), (2, 2), (56, 56))
>>> window.pads, window.reach
(((0, 0), (0, 0)), ((0, 1), (0, 1)))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archspec._numpy import Array, np
from archspec.ir.op import Reads, ShapeError, Window
from archspec.ir.types import Pads, Shape, format_shape

Rounding = Literal["floor", "ceil"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWindow:
    """A window that slides over the spatial axes of one input, a number per axis in each field.

    `size` is the input's size and `positions` the output's. `pads` is the border (before, after)
    that the spec states. With `rounding: ceil` the last window may reach over it, and with either
    rounding it may stop short of its end: see `reach`. `count_border` says whether the cells of the
    border count in a mean.

    The window of a transposed convolution slides over its output: `size` is the size of that, and
    `positions` is the size of the input.
    """

    size: Shape
    positions: Shape
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    count_border: bool = False

    @property
    def extent(self) -> tuple[int, ...]:
        """The length of the dilated kernel: dilation * (kernel - 1) + 1."""
        return tuple(extent(k, d) for k, d in zip(self.kernel, self.dilation, strict=True))

    def reads(self) -> Window:
        """Return the positions that outputs read along each axis."""
        rows = zip(self.extent, self.stride, self.pads, self.dilation, strict=True)
        return tuple(Reads.sliding(e, s, before, d) for e, s, (before, _), d in rows)

    @property
    def covers_all(self) -> bool:
        """True if there is one window, and all of the input lies in it."""
        whole = all(e >= n for n, e in zip(self.size, self.extent, strict=True))
        return whole and set(self.positions) == {1}

    @property
    def exact_pads(self) -> Pads:
        """The border after which the windows end exactly at its end.

        The number after an axis is negative if the last window ends before the input does.
        """
        rows = zip(self.size, self.positions, self.stride, self.extent, self.pads, strict=True)
        return tuple((before, (m - 1) * s + e - n - before) for n, m, s, e, (before, _) in rows)

    @property
    def reach(self) -> Pads:
        """The border that the windows reach, (before, after).

        A framework that pads by it and rounds down gets the right output size, whatever the spec's
        rounding is.
        """
        return tuple((before, max(after, 0)) for before, after in self.exact_pads)

    @property
    def overhang(self) -> Pads:
        """The part of `reach` beyond `pads`: cells that only `rounding: ceil` adds, at the end."""
        rows = zip(self.reach, self.pads, strict=True)
        return tuple((0, max(reached - after, 0)) for (_, reached), (_, after) in rows)

    @property
    def counted(self) -> Pads:
        """The part of `reach` that counts in a mean: none, or all but the overhang."""
        if not self.count_border:
            return ((0, 0),) * len(self.size)
        rows = zip(self.reach, self.pads, strict=True)
        return tuple((before, min(after, reached)) for (before, reached), (_, after) in rows)


def spatial_size(shape: Shape, kind: str) -> Shape:
    """Return the axes after the channels; raise ShapeError unless there are one, two or three."""
    if 2 <= len(shape) <= 4:
        return shape[1:]
    message = f"{kind} takes C,L or C,H,W or C,D,H,W, found {format_shape(shape)}"
    raise ShapeError("AS0307", message, "put it before the flatten" if len(shape) == 1 else "")


def per_axis(value: tuple[int, ...], rank: int, field: str) -> tuple[int, ...]:
    """Return one number per axis: (3,) becomes (3, 3) on an image."""
    if len(value) == rank:
        return value
    if len(value) == 1:
        return value * rank
    message = f"{field} {format_shape(value)} has {len(value)} numbers, the input {rank} axes"
    raise ShapeError("AS0312", message, field=field)


def extent(kernel: int, dilation: int) -> int:
    """Return the length of a dilated kernel."""
    return dilation * (kernel - 1) + 1


def pads(
    padding: int | str | Pads,
    size: Shape,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pads:
    """Return (before, after) per axis for a padding, in numbers or as a rule.

    `same` puts the larger part after, `same_lower` before; `symmetric` is (k-1)/2 on both sides.

    >>> pads("same", (224,), (7,), (2,), (1,))
    ((2, 3),)
    """
    if isinstance(padding, int):
        return ((padding, padding),) * len(size)
    if isinstance(padding, tuple):
        return _stated_pads(padding, len(size))
    if padding == "valid":
        return ((0, 0),) * len(size)
    extents = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    if padding == "symmetric":
        return _symmetric_pads(extents)
    # The output is then ceil(size / stride) long, as TensorFlow defines it.
    totals = [
        max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(size, stride, extents, strict=True)
    ]
    if padding == "same":
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((total - total // 2, total // 2) for total in totals)


def _stated_pads(padding: Pads, rank: int) -> Pads:
    if len(padding) not in (1, rank):
        message = f"padding names {len(padding)} axes, the input has {rank}"
        raise ShapeError("AS0312", message, field="padding")
    return padding * (rank // len(padding))


def _symmetric_pads(extents: list[int]) -> Pads:
    if any(k % 2 == 0 for k in extents):
        message = f"symmetric padding needs an odd window, found {format_shape(tuple(extents))}"
        fix = "state the padding in numbers, or use `same`"
        raise ShapeError("AS0304", message, fix, "padding")
    return tuple((k // 2, k // 2) for k in extents)


def output_size(
    size: Shape,
    pad: Pads,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    rounding: Rounding = "floor",
) -> Shape:
    """Return the number of window positions per axis.

    With "ceil", a window that starts past the input and its padding before is dropped.

    >>> output_size((112,), ((0, 0),), (3,), (2,), (1,), "ceil")
    (56,)
    """
    result: list[int] = []
    for n, (before, after), k, s, d in zip(size, pad, kernel, stride, dilation, strict=True):
        slack = n + before + after - extent(k, d)
        if slack < 0:
            raise _too_large(n, before + after, extent(k, d))
        positions = (slack // s if rounding == "floor" else -(-slack // s)) + 1
        # Its window would begin after the input; torch and ONNX drop it too.
        if rounding == "ceil" and (positions - 1) * s >= n + before:
            positions -= 1
        result.append(positions)
    return tuple(result)


def _too_large(size: int, padding: int, extent: int) -> ShapeError:
    padded = f"{size} padded to {size + padding}" if padding else f"{size}"
    message = f"the window of {extent} is larger than its input of {padded}"
    fix = "make the kernel smaller, pad the input, or stride less before it"
    return ShapeError("AS0304", message, fix, "kernel")


def pad_array(x: Array, pad: Pads, value: float = 0.0) -> Array:
    """Pad the spatial axes of a batch; return the batch itself if there is nothing to pad."""
    return np.pad(x, ((0, 0), (0, 0), *pad), constant_values=value) if any(map(any, pad)) else x


def crop_array(x: Array, pad: Pads) -> Array:
    """Return a batch without its padding."""
    rows = zip(x.shape[2:], pad, strict=True)
    return x[(..., *(slice(before, n - after) for n, (before, after) in rows))]


def window_view(
    x: Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    out: Shape,
) -> Array:
    """Return the cell under each tap of each window, as a view [N, C, *kernel, *out] of a batch.

    The batch is padded already.
    """
    # Overlapping windows share memory: a copy would be as many times larger as there are taps.
    shape = (*x.shape[:2], *kernel, *out)
    moves = tuple(s * step for s, step in zip(x.strides[2:], stride, strict=True))
    taps = tuple(s * step for s, step in zip(x.strides[2:], dilation, strict=True))
    return np.lib.stride_tricks.as_strided(
        x, shape, (*x.strides[:2], *taps, *moves), writeable=False
    )


def fold(taps: Array, stride: tuple[int, ...], dilation: tuple[int, ...], size: Shape) -> Array:
    """Add the values of windows up in a padded batch [N, C, *size]: the transpose of `window_view`.

    >>> fold(np.ones((1, 1, 3, 2)), stride=(2,), dilation=(1,), size=(5,)).tolist()
    [[[1.0, 1.0, 2.0, 1.0, 1.0]]]
    """
    rank = len(size)
    kernel = taps.shape[2 : 2 + rank]
    out = taps.shape[2 + rank :]
    x = np.zeros((*taps.shape[:2], *size))
    # Under one tap, all windows see different cells: only so does += add every value.
    for tap in np.ndindex(*kernel):
        rows = zip(tap, dilation, out, stride, strict=True)
        cells = (slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in rows)
        x[(..., *cells)] += taps[(slice(None), slice(None), *tap)]
    return x
