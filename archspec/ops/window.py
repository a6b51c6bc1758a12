"""The arithmetic of sliding windows, shared by convolutions and pools: padding rules, output sizes, numpy views.

>>> pads("same", (224,), (7,), (2,), (1,))
((2, 3),)
>>> output_size((112,), ((0, 0),), (3,), (2,), (1,), "ceil")
(56,)
"""

from __future__ import annotations

from typing import Any, Literal

from archspec._numpy import Array, np
from archspec.ir.op import ShapeError
from archspec.ir.types import Pads, Shape, format_shape

Rounding = Literal["floor", "ceil"]


def spatial_size(shape: Shape, what: str) -> Shape:
    """The axes after the channels; raises where there are none or more than three."""
    if 2 <= len(shape) <= 4:
        return shape[1:]
    message = f"{what} takes C,L or C,H,W or C,D,H,W, found {format_shape(shape)}"
    raise ShapeError("AS0307", message, "put it before the flatten" if len(shape) == 1 else "")


def per_axis(value: tuple[int, ...], rank: int, field: str) -> tuple[int, ...]:
    """One number for each axis: (3,) becomes (3, 3) on an image."""
    if len(value) == rank:
        return value
    if len(value) == 1:
        return value * rank
    raise ShapeError(
        "AS0312",
        f"{field} {format_shape(value)} has {len(value)} numbers, the input {rank} axes",
        field=field,
    )


def extent(kernel: int, dilation: int) -> int:
    """How far a dilated kernel reaches."""
    return dilation * (kernel - 1) + 1


def pads(
    padding: int | str | Pads,
    size: Shape,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """(before, after) per axis: `same` puts the larger part after, `same_lower` before, `symmetric` is (k-1)/2 each."""
    if isinstance(padding, int):
        return ((padding, padding),) * len(size)
    if isinstance(padding, tuple):
        if len(padding) not in (1, len(size)):
            message = f"padding names {len(padding)} axes, the input has {len(size)}"
            raise ShapeError("AS0312", message, field="padding")
        return padding * (len(size) // len(padding))
    if padding == "valid":
        return ((0, 0),) * len(size)
    reach = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    if padding == "symmetric":
        if any(k % 2 == 0 for k in reach):
            message = f"symmetric padding needs an odd window, found {format_shape(tuple(reach))}"
            raise ShapeError(
                "AS0304", message, "state the padding in numbers, or use `same`", "padding"
            )
        return tuple((k // 2, k // 2) for k in reach)
    total = [
        max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(size, stride, reach, strict=True)
    ]
    if padding == "same":
        return tuple((t // 2, t - t // 2) for t in total)
    return tuple((t - t // 2, t // 2) for t in total)


def output_size(
    size: Shape,
    pad: tuple[tuple[int, int], ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    rounding: Rounding = "floor",
) -> Shape:
    """The output's size per axis; a window that starts past the input and its left padding is dropped."""
    result: list[int] = []
    for n, (before, after), k, s, d in zip(size, pad, kernel, stride, dilation, strict=True):
        room = n + before + after - extent(k, d)
        if room < 0:
            padded = f"{n} padded to {n + before + after}" if before + after else f"{n}"
            message = f"the window of {extent(k, d)} is larger than its input of {padded}"
            raise ShapeError(
                "AS0304",
                message,
                "make the kernel smaller, pad the input, or stride less before it",
                "kernel",
            )
        out = (room // s if rounding == "floor" else -(-room // s)) + 1
        if rounding == "ceil" and (out - 1) * s >= n + before:
            out -= 1
        result.append(out)
    return tuple(result)


def reduce(padding: tuple[tuple[int, int], ...]) -> Any:
    """Pads in their shortest spelling: 1, (1, 2) per axis, or the pairs themselves."""
    if all(before == after for before, after in padding):
        flat = tuple(before for before, _ in padding)
        return flat[0] if len(set(flat)) == 1 else flat
    return padding


def pad_array(x: Array, pad: tuple[tuple[int, int], ...], value: float = 0.0) -> Array:
    """Spatial padding of a batch; the batch itself where there is none."""
    return np.pad(x, ((0, 0), (0, 0), *pad), constant_values=value) if any(map(any, pad)) else x


def crop_array(x: Array, pad: tuple[tuple[int, int], ...]) -> Array:
    """The batch without its padding."""
    return x[
        (
            ...,
            *(
                slice(before, n - after)
                for n, (before, after) in zip(x.shape[2:], pad, strict=True)
            ),
        )
    ]


def window_view(
    x: Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    out: Shape,
) -> Array:
    """A view [N, C, *kernel, *out] of a padded batch: for each tap of the window, what it sees from every place."""
    shape = (*x.shape[:2], *kernel, *out)
    moves = tuple(s * step for s, step in zip(x.strides[2:], stride, strict=True))
    taps = tuple(s * step for s, step in zip(x.strides[2:], dilation, strict=True))
    return np.lib.stride_tricks.as_strided(
        x, shape, (*x.strides[:2], *taps, *moves), writeable=False
    )


def fold(taps: Array, stride: tuple[int, ...], dilation: tuple[int, ...], size: Shape) -> Array:
    """The transpose of `windows`: a padded batch [N, C, *size] in which each value is added where its tap lies.

    >>> fold(np.ones((1, 1, 3, 2)), stride=(2,), dilation=(1,), size=(5,)).tolist()
    [[[1.0, 1.0, 2.0, 1.0, 1.0]]]
    """
    rank = len(size)
    kernel, out = taps.shape[2 : 2 + rank], taps.shape[2 + rank :]
    x = np.zeros((*taps.shape[:2], *size))
    for tap in np.ndindex(*kernel):
        rows = zip(tap, dilation, out, stride, strict=True)
        x[(..., *(slice(t * d, t * d + (o - 1) * s + 1, s) for t, d, o, s in rows))] += taps[
            (slice(None),) * 2 + tap
        ]
    return x


def scatter_add(taken: Array, index: Array, axis: int, size: int) -> Array:
    """The transpose of `np.take(x, index, axis)` from an axis of that size: what came from one place is added there.

    >>> scatter_add(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 2]), axis=0, size=4).tolist()
    [1.0, 0.0, 6.0, 0.0]
    """
    places = (index[:, None] == np.arange(size)).astype(float)
    return np.moveaxis(np.moveaxis(taken, axis, -1) @ places, -1, axis)
