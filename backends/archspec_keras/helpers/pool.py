"""Pools that Keras lacks or computes in another way."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportUnknownLambdaType=false
# Keras is typed in part only, and its operations as if they could return None.

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

import keras
import numpy as np
from keras import layers, ops


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
        rows = zip(
            input_shape[1:-1],
            self.sides,
            self.pool_size,
            self.strides,
            self.dilation_rate,
            strict=True,
        )
        positions = ((n + sum(pair) - d * (k - 1) - 1) // s + 1 for n, pair, k, s, d in rows)
        return (input_shape[0], *positions, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        names = ("pool_size", "strides", "sides", "dilation_rate")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="archspec")
class SlidingMean(layers.Layer):
    """An average pool with any border and rank, axis by axis; `counted` rows of it count."""

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
        for axis, (size, stride, out) in enumerate(
            zip(self.pool_size, self.strides, shape[1:-1], strict=True), 1
        ):
            n, (before, _), (first, last) = (
                inputs.shape[axis],
                self.sides[axis - 1],
                self.counted[axis - 1],
            )
            taps = [slice(start, start + (out - 1) * stride + 1, stride) for start in range(size)]
            total = reduce(operator.add, [x[(slice(None),) * axis + (tap,)] for tap in taps])
            starts = np.arange(out) * stride - before
            counts = np.minimum(starts + size, n + last) - np.maximum(starts, -first)
            x = total / ops.convert_to_tensor(
                counts.reshape(-1, *(1,) * (len(shape) - axis - 1)), x.dtype
            )
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
    """A pool into m bins: bin i covers floor(i * n / m) to ceil((i + 1) * n / m) of n rows."""

    def __init__(self, size: Sequence[int], how: str = "mean", **options: Any) -> None:
        super().__init__(**options)
        self.size, self.how = list(size), how

    def call(self, inputs: Any) -> Any:
        x, take = inputs, ops.mean if self.how == "mean" else ops.max
        for axis, m in enumerate(self.size, 1):
            n = x.shape[axis]
            bins = [slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
            x = ops.concatenate(
                [take(x[(slice(None),) * axis + (cells,)], axis, keepdims=True) for cells in bins],
                axis,
            )
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "how": self.how}
