"""Convolutions that Keras lacks or computes in another way."""

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
from keras import layers, ops


@keras.saving.register_keras_serializable(package="archspec")
class SingleConv2D(layers.Conv2D):
    """Keras's own with one filter, which PyTorch on a CPU only differentiates beside another."""

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        kernel = ops.cast(kernel, inputs.dtype)
        two = ops.concatenate([kernel, ops.zeros_like(kernel)], -1)
        return super().convolution_op(inputs, two)[..., :1]


@keras.saving.register_keras_serializable(package="archspec")
class SpreadConv2D(layers.Conv2D):
    """A convolution with any stride, dilation and groups: zeros spread the kernel's taps."""

    def __init__(
        self, *sizes: Any, dilation_rate: Any = 1, groups: int = 1, **options: Any
    ) -> None:
        super().__init__(*sizes, groups=groups, **options)
        self.spread = (
            [dilation_rate] * self.rank if isinstance(dilation_rate, int) else list(dilation_rate)
        )

    def call(self, inputs: Any) -> Any:
        kernel = ops.cast(self.kernel, inputs.dtype)
        for axis, rate in enumerate(self.spread):
            taps = [
                kernel[(slice(None),) * axis + (slice(i, i + 1),)]
                for i in range(kernel.shape[axis])
            ]
            zeros = [ops.repeat(ops.zeros_like(taps[0]), rate - 1, axis)] if rate > 1 else []
            kernel = ops.concatenate(
                taps[:1] + [part for tap in taps[1:] for part in (*zeros, tap)], axis
            )
        pairs = zip(
            ops.split(inputs, self.groups, -1), ops.split(kernel, self.groups, -1), strict=True
        )
        y = ops.concatenate([self._convolve(x, k) for x, k in pairs], -1)
        return y if self.bias is None else ops.add(y, self.bias)

    def _convolve(self, x: Any, kernel: Any) -> Any:
        # PyTorch on a CPU cannot differentiate a single filter: one of zeros goes beside it.
        one = kernel.shape[-1] == 1
        kernel = ops.concatenate([kernel, ops.zeros_like(kernel)], -1) if one else kernel
        y = ops.conv(x, kernel, list(self.strides), self.padding)
        return y[..., :1] if one else y

    def compute_output_shape(self, input_shape: Any) -> Any:
        rows = zip(input_shape[1:-1], self.kernel_size, self.strides, self.spread, strict=True)
        same = self.padding == "same"
        return (
            input_shape[0],
            *(-(-(n - (0 if same else (k - 1) * d)) // s) for n, k, s, d in rows),
            self.filters,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dilation_rate": self.spread}


@keras.saving.register_keras_serializable(package="archspec")
class CroppedConv2DTranspose(layers.Layer):
    """A transposed convolution with groups, any dilation, and its own crop on each side.

    `extra` rows follow the output. The kernel is [*kernel_size, filters / groups, channels].
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
        self.bias = (
            self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
            if self.use_bias
            else None
        )

    def call(self, inputs: Any) -> Any:
        kernel = ops.cast(self.kernel, inputs.dtype)
        for axis, rate in enumerate(self.dilation_rate):
            taps = [
                kernel[(slice(None),) * axis + (slice(i, i + 1),)]
                for i in range(kernel.shape[axis])
            ]
            zeros = [ops.repeat(ops.zeros_like(taps[0]), rate - 1, axis)] if rate > 1 else []
            kernel = ops.concatenate(
                taps[:1] + [part for tap in taps[1:] for part in (*zeros, tap)], axis
            )
        pairs = zip(
            ops.split(inputs, self.groups, -1), ops.split(kernel, self.groups, -1), strict=True
        )
        whole = ops.concatenate([self._convolve(x, k) for x, k in pairs], -1)
        rows = [
            (before, m)
            for (before, _), m in zip(self.sides, self._sizes(inputs.shape), strict=True)
        ]
        short = [
            max(before + m - n, 0) for (before, m), n in zip(rows, whole.shape[1:-1], strict=True)
        ]
        whole = (
            ops.pad(whole, [(0, 0), *((0, missing) for missing in short), (0, 0)])
            if any(short)
            else whole
        )
        y = whole[(slice(None), *(slice(before, before + m) for before, m in rows))]
        return y if self.bias is None else ops.add(y, self.bias)

    def _convolve(self, x: Any, kernel: Any) -> Any:
        # PyTorch on a CPU cannot differentiate a single channel: one of zeros goes beside it.
        if x.shape[-1] == 1:
            x, kernel = (ops.concatenate([part, ops.zeros_like(part)], -1) for part in (x, kernel))
        return ops.conv_transpose(x, kernel, self.strides, "valid")

    def _sizes(self, shape: Any) -> list[int]:
        rows = zip(
            shape[1:-1],
            self.kernel_size,
            self.strides,
            self.sides,
            self.extra,
            self.dilation_rate,
            strict=True,
        )
        return [(n - 1) * s + d * (k - 1) + 1 - sum(pair) + e for n, k, s, pair, e, d in rows]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self._sizes(input_shape), self.filters)

    def get_config(self) -> dict[str, Any]:
        names = (
            "filters",
            "kernel_size",
            "strides",
            "sides",
            "extra",
            "dilation_rate",
            "groups",
            "use_bias",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
