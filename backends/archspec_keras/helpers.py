"""Layers that Keras has none of: what a network uses of them is copied into its file, as it stands here.

The 1-D and 3-D forms are these with another number in their names. All are channels last.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportUnknownLambdaType=false
# Keras is typed in part alone, and its operations as if they could give None.

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="archspec")
class BatchNormalization(layers.BatchNormalization):
    """Keras's own, but that the moving variance follows the unbiased variance of the batch, as torch's does."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        before = ops.convert_to_tensor(self.moving_variance) * self.momentum
        outputs = super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            count = ops.cast(ops.size(inputs) // inputs.shape[-1], self.moving_variance.dtype)
            moved = ops.convert_to_tensor(self.moving_variance)
            self.moving_variance.assign(moved + (moved - before) / ops.maximum(count - 1, 1))
        return outputs


@keras.saving.register_keras_serializable(package="archspec")
class LocalResponseNormalization(layers.Layer):
    """x / (k + alpha / size * sum of squares) ** beta over `size` neighbouring channels."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def call(self, inputs: Any) -> Any:
        # A product with a band matrix, and a power by its logarithm: both are quicker than what they stand for.
        at = np.arange(inputs.shape[-1])
        band = (np.abs(at[:, None] - at) <= self.size // 2) * (self.alpha / self.size)
        total = self.k + ops.matmul(ops.square(inputs), ops.convert_to_tensor(band, inputs.dtype))
        return inputs * ops.exp(-self.beta * ops.log(total))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}


@keras.saving.register_keras_serializable(package="archspec")
class SpreadConv2D(layers.Conv2D):
    """A convolution with any stride, dilation and groups at once: the kernel's taps are spread with zeros."""

    def __init__(self, *sizes: Any, dilation_rate: Any = 1, groups: int = 1, **options: Any) -> None:
        super().__init__(*sizes, groups=groups, **options)
        self.spread = [dilation_rate] * self.rank if isinstance(dilation_rate, int) else list(dilation_rate)

    def call(self, inputs: Any) -> Any:
        kernel = ops.cast(self.kernel, inputs.dtype)
        for axis, rate in enumerate(self.spread):
            taps = [kernel[(slice(None),) * axis + (slice(i, i + 1),)] for i in range(kernel.shape[axis])]
            zeros = [ops.repeat(ops.zeros_like(taps[0]), rate - 1, axis)] if rate > 1 else []
            kernel = ops.concatenate(taps[:1] + [part for tap in taps[1:] for part in (*zeros, tap)], axis)
        pairs = zip(ops.split(inputs, self.groups, -1), ops.split(kernel, self.groups, -1), strict=True)
        y = ops.concatenate([ops.conv(x, k, list(self.strides), self.padding) for x, k in pairs], -1)
        return y if self.bias is None else ops.add(y, self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        rows = zip(input_shape[1:-1], self.kernel_size, self.strides, self.spread, strict=True)
        same = self.padding == "same"
        return (input_shape[0], *(-(-(n - (0 if same else (k - 1) * d)) // s) for n, k, s, d in rows), self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dilation_rate": self.spread}


@keras.saving.register_keras_serializable(package="archspec")
class CroppedConv2DTranspose(layers.Layer):
    """A transposed convolution with groups, any dilation, and an amount of its own cut off each side.

    `extra` rows are added after the output. The kernel is [*kernel_size, filters / groups, channels].
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        sides: Sequence[Sequence[int]] = (),
        extra: Any = 0,
        dilation_rate: Any = 1,
        groups: int = 1,
        use_bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        rank = len(sides)
        self.filters, self.groups, self.use_bias = filters, groups, use_bias
        self.kernel_size, self.strides, self.extra, self.dilation_rate = (
            [value] * rank if isinstance(value, int) else list(value)
            for value in (kernel_size, strides, extra, dilation_rate)
        )
        self.sides = [list(pair) for pair in sides]

    def build(self, input_shape: Any) -> None:
        shape = (*self.kernel_size, self.filters // self.groups, input_shape[-1])
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros") if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        kernel = ops.cast(self.kernel, inputs.dtype)
        for axis, rate in enumerate(self.dilation_rate):
            taps = [kernel[(slice(None),) * axis + (slice(i, i + 1),)] for i in range(kernel.shape[axis])]
            zeros = [ops.repeat(ops.zeros_like(taps[0]), rate - 1, axis)] if rate > 1 else []
            kernel = ops.concatenate(taps[:1] + [part for tap in taps[1:] for part in (*zeros, tap)], axis)
        pairs = zip(ops.split(inputs, self.groups, -1), ops.split(kernel, self.groups, -1), strict=True)
        whole = ops.concatenate([ops.conv_transpose(x, k, self.strides, "valid") for x, k in pairs], -1)
        rows = [(before, m) for (before, _), m in zip(self.sides, self._sizes(inputs.shape), strict=True)]
        short = [max(before + m - n, 0) for (before, m), n in zip(rows, whole.shape[1:-1], strict=True)]
        whole = ops.pad(whole, [(0, 0), *((0, missing) for missing in short), (0, 0)]) if any(short) else whole
        y = whole[(slice(None), *(slice(before, before + m) for before, m in rows))]
        return y if self.bias is None else ops.add(y, self.bias)

    def _sizes(self, shape: Any) -> list[int]:
        rows = zip(shape[1:-1], self.kernel_size, self.strides, self.sides, self.extra, self.dilation_rate, strict=True)
        return [(n - 1) * s + d * (k - 1) + 1 - sum(pair) + e for n, k, s, pair, e, d in rows]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._sizes(input_shape), self.filters)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "strides", "sides", "extra", "dilation_rate", "groups", "use_bias")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="archspec")
class PaddedMaxPooling2D(layers.MaxPooling2D):
    """A max pool with a border of minus infinity: a pair for each axis."""

    def __init__(self, *sizes: Any, sides: Sequence[Sequence[int]], **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.sides = [list(pair) for pair in sides]

    def call(self, inputs: Any) -> Any:
        border = [(0, 0), *self.sides, (0, 0)]
        return super().call(ops.pad(inputs, border, constant_values=float("-inf")))

    def compute_output_shape(self, input_shape: Any) -> Any:
        positions = (n + sum(pair) for n, pair in zip(input_shape[1:-1], self.sides, strict=True))
        return super().compute_output_shape((input_shape[0], *positions, input_shape[-1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sides": self.sides}


@keras.saving.register_keras_serializable(package="archspec")
class SlidingMax(layers.Layer):
    """A max pool with any border and dilation in any number of dimensions, axis by axis."""

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        sides: Sequence[Sequence[int]] = (),
        dilation_rate: Any = 1,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sides = [list(pair) for pair in sides]
        self.pool_size, self.strides, self.dilation_rate = (
            [value] * len(sides) if isinstance(value, int) else list(value)
            for value in (pool_size, pool_size if strides is None else strides, dilation_rate)
        )

    def call(self, inputs: Any) -> Any:
        x = ops.pad(inputs, [(0, 0), *self.sides, (0, 0)], constant_values=float("-inf"))
        shape = self.compute_output_shape(inputs.shape)
        rows = zip(self.pool_size, self.strides, self.dilation_rate, shape[1:-1], strict=True)
        for axis, (size, stride, rate, out) in enumerate(rows, 1):
            starts = range(0, size * rate, rate)
            taps = [slice(start, start + (out - 1) * stride + 1, stride) for start in starts]
            x = reduce(ops.maximum, [x[(slice(None),) * axis + (tap,)] for tap in taps])
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        rows = zip(input_shape[1:-1], self.sides, self.pool_size, self.strides, self.dilation_rate, strict=True)
        positions = ((n + sum(pair) - d * (k - 1) - 1) // s + 1 for n, pair, k, s, d in rows)
        return (input_shape[0], *positions, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        names = ("pool_size", "strides", "sides", "dilation_rate")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="archspec")
class SlidingMean(layers.Layer):
    """An average pool with any border in any number of dimensions, axis by axis; `counted` of the border is counted."""

    def __init__(
        self,
        pool_size: Any,
        strides: Any = None,
        sides: Sequence[Sequence[int]] = (),
        counted: Sequence[Sequence[int]] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sides, self.counted = [list(pair) for pair in sides], [list(pair) for pair in counted]
        self.pool_size, self.strides = (
            [value] * len(sides) if isinstance(value, int) else list(value)
            for value in (pool_size, pool_size if strides is None else strides)
        )

    def call(self, inputs: Any) -> Any:
        x = ops.pad(inputs, [(0, 0), *self.sides, (0, 0)])
        shape = self.compute_output_shape(inputs.shape)
        for axis, (size, stride, out) in enumerate(zip(self.pool_size, self.strides, shape[1:-1], strict=True), 1):
            n, (before, _), (first, last) = inputs.shape[axis], self.sides[axis - 1], self.counted[axis - 1]
            taps = [slice(start, start + (out - 1) * stride + 1, stride) for start in range(size)]
            total = reduce(operator.add, [x[(slice(None),) * axis + (tap,)] for tap in taps])
            starts = np.arange(out) * stride - before
            counts = np.minimum(starts + size, n + last) - np.maximum(starts, -first)
            x = total / ops.convert_to_tensor(counts.reshape(-1, *(1,) * (len(shape) - axis - 1)), x.dtype)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        rows = zip(input_shape[1:-1], self.sides, self.pool_size, self.strides, strict=True)
        positions = ((n + sum(pair) - k) // s + 1 for n, pair, k, s in rows)
        return (input_shape[0], *positions, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        names = ("pool_size", "strides", "sides", "counted")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="archspec")
class AdaptivePooling(layers.Layer):
    """As many bins as asked for: bin i of m over n positions is floor(i * n / m) to ceil((i + 1) * n / m)."""

    def __init__(self, size: Sequence[int], how: str = "mean", **options: Any) -> None:
        super().__init__(**options)
        self.size, self.how = list(size), how

    def call(self, inputs: Any) -> Any:
        x, take = inputs, ops.mean if self.how == "mean" else ops.max
        for axis, m in enumerate(self.size, 1):
            n = x.shape[axis]
            bins = [slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
            x = ops.concatenate(
                [take(x[(slice(None),) * axis + (cells,)], axis, keepdims=True) for cells in bins], axis
            )
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "how": self.how}


@keras.saving.register_keras_serializable(package="archspec")
class Sum(layers.Layer):
    """The sum of values of which some are spread along axes of size 1."""

    def call(self, inputs: Any) -> Any:
        return reduce(operator.add, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        first, *others = input_shape
        return (first[0], *(max(sizes) for sizes in zip(first[1:], *(shape[1:] for shape in others), strict=True)))


@keras.saving.register_keras_serializable(package="archspec")
class LeakyReLU(layers.LeakyReLU):
    """Keras's own, with the slope in the precision of the values."""

    def call(self, inputs: Any) -> Any:
        return ops.where(inputs > 0, inputs, self.negative_slope * inputs)


@keras.saving.register_keras_serializable(package="archspec")
class Gelu(layers.Layer):
    """x times the normal distribution function at x, exact or by the tanh approximation that BERT and GPT used."""

    def __init__(self, approximate: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.approximate = approximate

    def call(self, inputs: Any) -> Any:
        if self.approximate:
            return 0.5 * inputs * (1 + ops.tanh(math.sqrt(2 / math.pi) * (inputs + 0.044715 * inputs**3)))
        return 0.5 * inputs * (1 + ops.erf(inputs * math.sqrt(0.5)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "approximate": self.approximate}


@keras.saving.register_keras_serializable(package="archspec")
class HardSigmoid(layers.Layer):
    """relu6(x + 3) / 6."""

    def call(self, inputs: Any) -> Any:
        return ops.relu6(inputs + 3) / 6

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="archspec")
class HardSwish(layers.Layer):
    """x * relu6(x + 3) / 6."""

    def call(self, inputs: Any) -> Any:
        return inputs * ops.relu6(inputs + 3) / 6

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras.saving.register_keras_serializable(package="archspec")
class ChannelShuffle(layers.Layer):
    """Interleaves groups of channels."""

    def __init__(self, groups: int, **options: Any) -> None:
        super().__init__(**options)
        self.groups = groups

    def call(self, inputs: Any) -> Any:
        *around, channels = inputs.shape[1:]
        grouped = ops.reshape(inputs, (-1, *around, self.groups, channels // self.groups))
        return ops.reshape(ops.swapaxes(grouped, -1, -2), (-1, *around, channels))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


@keras.saving.register_keras_serializable(package="archspec")
class Border(layers.Layer):
    """A border around the positions, a pair for each axis: a constant, the mirrored inside, or the repeated edge."""

    def __init__(
        self, sides: Sequence[Sequence[int]], mode: str = "constant", value: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.sides, self.mode, self.value = [list(pair) for pair in sides], mode, value

    def call(self, inputs: Any) -> Any:
        if self.mode == "constant":
            return ops.pad(inputs, [(0, 0), *self.sides, (0, 0)], constant_values=self.value)
        x = inputs
        for axis, (before, after) in enumerate(self.sides, 1):
            n, at = x.shape[axis], np.arange(-before, x.shape[axis] + after)
            inside = np.clip(at, 0, n - 1) if self.mode == "edge" else (n - 1) - np.abs((n - 1) - np.abs(at))
            x = ops.take(x, inside, axis)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        positions = (n + sum(pair) for n, pair in zip(input_shape[1:-1], self.sides, strict=True))
        return (input_shape[0], *positions, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sides": self.sides, "mode": self.mode, "value": self.value}


@keras.saving.register_keras_serializable(package="archspec")
class NearestResize(layers.Layer):
    """Nearest neighbours: of m over n positions, i takes that below i * n / m, or (i + 0.5) * n / m if `half_pixel`."""

    def __init__(self, size: Sequence[int], half_pixel: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.half_pixel = list(size), half_pixel

    def call(self, inputs: Any) -> Any:
        x = inputs
        for axis, m in enumerate(self.size, 1):
            n, i = x.shape[axis], np.arange(m)
            x = ops.take(x, (2 * i + 1) * n // (2 * m) if self.half_pixel else i * n // m, axis)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "half_pixel": self.half_pixel}


@keras.saving.register_keras_serializable(package="archspec")
class LinearResize(layers.Layer):
    """Linear interpolation between half-pixel centres, or between corners that are aligned."""

    def __init__(self, size: Sequence[int], align_corners: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.size, self.align_corners = list(size), align_corners

    def call(self, inputs: Any) -> Any:
        x = inputs
        for axis, m in enumerate(self.size, 1):
            n, i = x.shape[axis], np.arange(m)
            at = i * ((n - 1) / max(m - 1, 1)) if self.align_corners else np.maximum((i + 0.5) * n / m - 0.5, 0.0)
            below = np.minimum(at.astype(int), n - 1)
            share = (at - below).reshape(-1, *(1,) * (len(x.shape) - axis - 1))
            low, high = ops.take(x, below, axis), ops.take(x, np.minimum(below + 1, n - 1), axis)
            x = low * ops.convert_to_tensor(1 - share, x.dtype) + high * ops.convert_to_tensor(share, x.dtype)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "align_corners": self.align_corners}
