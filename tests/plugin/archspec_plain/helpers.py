"""Functions that the emitted file calls; those that a network uses are copied into it."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.floating]
Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def leaky_relu(x: Array, *, slope: float) -> Array:
    """Return x where it is positive, else slope * x."""
    return np.where(x >= 0, x, slope * x)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), with exponents that are never positive: nothing overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def softmax(x: Array) -> Array:
    """Normalise exponentials over the channels."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def column(values: Array, x: Array) -> Array:
    """Return a number for each channel in the shape that broadcasts over a batch."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def bordered(x: Array, pads: Pads, value: float = 0) -> Array:
    """Return a batch in a border of one number."""
    return np.pad(x, ((0, 0), (0, 0), *pads), constant_values=value) if pads else x


def windows(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """Return the windows at all positions, [N, C, *positions, *kernel]."""
    once = (1,) * len(kernel)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation or once, strict=True))
    seen = sliding_window_view(x, reach, axis=tuple(range(2, x.ndim)))
    return seen[
        (..., *(slice(None, None, step) for step in (*(stride or once), *(dilation or once))))
    ]


def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Sizes = (),
    dilation: Sizes = (),
    pads: Pads = (),
    groups: int = 1,
) -> Array:
    """Convolve; the weight is [out, in/groups, *kernel]."""
    rank = x.ndim - 2
    seen = windows(bordered(x, pads), weight.shape[2:], stride, dilation)
    taps = ((1, *range(2 + rank, 2 + 2 * rank)), range(1, 2 + rank))
    parts = zip(np.split(seen, groups, axis=1), np.split(weight, groups), strict=True)
    y = np.concatenate([np.moveaxis(np.tensordot(s, w, taps), -1, 1) for s, w in parts], axis=1)
    return y if bias is None else y + column(bias, y)


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Apply a fully connected layer; the weight is [out, in]."""
    y = x @ weight.T
    return y if bias is None else y + bias


def max_pool(
    x: Array, kernel: Sizes, *, stride: Sizes = (), dilation: Sizes = (), pads: Pads = ()
) -> Array:
    """Return the largest value of each window; the border never wins."""
    seen = windows(bordered(x, pads, -np.inf), kernel, stride, dilation)
    return seen.max(axis=tuple(range(x.ndim, seen.ndim)))


def avg_pool(
    x: Array, kernel: Sizes, *, stride: Sizes = (), counted: Pads = (), pads: Pads = ()
) -> Array:
    """Return the mean of each window, with the zeros of the `counted` border but no others."""
    cells = bordered(np.ones_like(x[:1, :1]), counted, 1)
    total, count = (
        windows(bordered(y, pads), kernel, stride, ()).sum(
            axis=tuple(range(x.ndim, 2 * x.ndim - 2))
        )
        for y in (bordered(x, counted), cells)
    )
    return total / count


def batch_norm(
    x: Array, w: dict[str, Array], name: str, train: bool, *, eps: float, momentum: float
) -> Array:
    """Normalise channels by the running statistics; train mode updates them and uses the batch's.

    Statistics that are read-only are frozen: train mode uses them too.
    """
    mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    if train and mean.flags.writeable:
        axes = (0, *range(2, x.ndim))
        batch, count = x.mean(axis=axes), x.size // x.shape[1]
        w[f"{name}.running_mean"] = (1 - momentum) * mean + momentum * batch
        w[f"{name}.running_var"] = (1 - momentum) * var + momentum * x.var(axis=axes) * (
            count / (count - 1)
        )
        mean, var = batch, x.var(axis=axes)
    y = (x - column(mean, x)) / np.sqrt(column(var, x) + eps)
    if f"{name}.weight" not in w:
        return y
    return y * column(w[f"{name}.weight"], x) + column(w[f"{name}.bias"], x)


def lrn(x: Array, *, size: int, alpha: float, beta: float, k: float) -> Array:
    """Return x / (k + alpha/size * sum of squares)**beta over neighbours, clipped at the ends."""
    half = min(size // 2, x.shape[1] - 1)
    squares = np.pad(x * x, ((0, 0), (half, half), *((0, 0),) * (x.ndim - 2)))
    near = sliding_window_view(squares, 2 * half + 1, axis=1).sum(axis=-1)
    return x / (k + alpha / size * near) ** beta


def dropout(x: Array, rng: np.random.Generator | None, *, rate: float) -> Array:
    """Drop values at random, and scale the others."""
    return x if rng is None else x * (rng.random(x.shape) >= rate).astype(x.dtype) / (1 - rate)
