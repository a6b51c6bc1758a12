"""Layers that move values, which Keras lacks or computes in another way."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportUnknownLambdaType=false
# Keras is typed in part only, and its operations as if they could return None.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops


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
    """A border, a pair for each axis: a constant, the mirrored inside, or the repeated edge."""

    def __init__(
        self,
        sides: Sequence[Sequence[int]],
        mode: str = "constant",
        value: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sides, self.mode, self.value = [list(pair) for pair in sides], mode, value

    def call(self, inputs: Any) -> Any:
        if self.mode == "constant":
            return ops.pad(inputs, [(0, 0), *self.sides, (0, 0)], constant_values=self.value)
        x = inputs
        for axis, (before, after) in enumerate(self.sides, 1):
            n, at = x.shape[axis], np.arange(-before, x.shape[axis] + after)
            inside = (
                np.clip(at, 0, n - 1)
                if self.mode == "edge"
                else (n - 1) - np.abs((n - 1) - np.abs(at))
            )
            x = ops.take(x, inside, axis)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        positions = (n + sum(pair) for n, pair in zip(input_shape[1:-1], self.sides, strict=True))
        return (input_shape[0], *positions, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sides": self.sides, "mode": self.mode, "value": self.value}


@keras.saving.register_keras_serializable(package="archspec")
class NearestResize(layers.Layer):
    """Nearest neighbours: row i of m reads floor(i * n / m), or of i + 0.5 if `half_pixel`."""

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
            at = (
                i * ((n - 1) / max(m - 1, 1))
                if self.align_corners
                else np.maximum((i + 0.5) * n / m - 0.5, 0.0)
            )
            below = np.minimum(at.astype(int), n - 1)
            share = (at - below).reshape(-1, *(1,) * (len(x.shape) - axis - 1))
            low, high = ops.take(x, below, axis), ops.take(x, np.minimum(below + 1, n - 1), axis)
            x = low * ops.convert_to_tensor(1 - share, x.dtype) + high * ops.convert_to_tensor(
                share, x.dtype
            )
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "align_corners": self.align_corners}
