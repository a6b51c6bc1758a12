"""Functions that the emitted file calls; those that a network uses are copied into it, as they stand here."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.floating]
Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def leaky_relu(x: Array, *, slope: float) -> Array:
    """x where it is positive, else slope * x."""
    return np.where(x >= 0, x, slope * x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), by powers of negative numbers alone: nothing overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def softmax(x: Array) -> Array:
    """Over the channels."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def column(values: Array, x: Array) -> Array:
    """A number for each channel, shaped to meet the channels of a batch."""
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def bordered(x: Array, pads: Pads, value: float = 0) -> Array:
    """A batch in a border of one number."""
    return np.pad(x, ((0, 0), (0, 0), *pads), constant_values=value) if pads else x


def windows(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """What a window sees from each place, [N, C, *places, *kernel]."""
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
    """A convolution; the weight is [out, in/groups, *kernel]."""
    rank = x.ndim - 2
    seen = windows(bordered(x, pads), weight.shape[2:], stride, dilation)
    taps = ((1, *range(2 + rank, 2 + 2 * rank)), range(1, 2 + rank))
    parts = zip(np.split(seen, groups, axis=1), np.split(weight, groups), strict=True)
    y = np.concatenate([np.moveaxis(np.tensordot(s, w, taps), -1, 1) for s, w in parts], axis=1)
    return y if bias is None else y + column(bias, y)


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """A fully connected layer; the weight is [out, in]."""
    y = x @ weight.T
    return y if bias is None else y + bias


def max_pool(
    x: Array, kernel: Sizes, *, stride: Sizes = (), dilation: Sizes = (), pads: Pads = ()
) -> Array:
    """The largest value of each window; the border never wins."""
    seen = windows(bordered(x, pads, -np.inf), kernel, stride, dilation)
    return seen.max(axis=tuple(range(x.ndim, seen.ndim)))


def avg_pool(
    x: Array, kernel: Sizes, *, stride: Sizes = (), counted: Pads = (), pads: Pads = ()
) -> Array:
    """The mean of each window: of the `counted` border, its zeros too, of that around it, nothing."""
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
    """Normalises each channel by the moving statistics, in train mode by the batch, which moves them.

    Statistics that are read-only are frozen: train mode normalises by them too.
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
    return (
        y * column(w[f"{name}.weight"], x) + column(w[f"{name}.bias"], x)
        if f"{name}.weight" in w
        else y
    )


def lrn(x: Array, *, size: int, alpha: float, beta: float, k: float) -> Array:
    """x / (k + alpha/size * sum of squares)**beta over neighbouring channels, the window clipped at the ends."""
    half = min(size // 2, x.shape[1] - 1)
    squares = np.pad(x * x, ((0, 0), (half, half), *((0, 0),) * (x.ndim - 2)))
    near = sliding_window_view(squares, 2 * half + 1, axis=1).sum(axis=-1)
    return x / (k + alpha / size * near) ** beta


def dropout(x: Array, rng: np.random.Generator | None, *, rate: float) -> Array:
    """Drops values where `rng` draws them, and scales what is left."""
    return x if rng is None else x * (rng.random(x.shape) >= rate).astype(x.dtype) / (1 - rate)
