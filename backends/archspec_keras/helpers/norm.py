"""Normalisations that Keras lacks or computes in another way."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportUnknownLambdaType=false
# Keras is typed in part only, and its operations as if they could return None.

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable(package="archspec")
class BatchNormalization(layers.BatchNormalization):
    """Keras's own, with an exact batch variance, whose unbiased form updates the running one."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        before = ops.convert_to_tensor(self.moving_variance) * self.momentum
        outputs = super().call(inputs, training=training, mask=mask)
        if training and self.trainable:
            count = ops.cast(ops.size(inputs) // inputs.shape[-1], self.moving_variance.dtype)
            moved = ops.convert_to_tensor(self.moving_variance)
            self.moving_variance.assign(moved + (moved - before) / ops.maximum(count - 1, 1))
        return outputs

    def _moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        # On torch, Keras subtracts the squared mean from the mean square and may go below zero.
        mean = ops.mean(inputs, self._reduction_axes, keepdims=True)
        variance = ops.mean(ops.square(inputs - mean), self._reduction_axes)
        return ops.squeeze(mean, self._reduction_axes), variance


@keras.saving.register_keras_serializable(package="archspec")
class GroupNormalization(layers.GroupNormalization):
    """Keras's own, which subtracts the mean first: values far from 0 keep their digits."""

    def _apply_normalization(self, reshaped_inputs: Any, input_shape: Any) -> Any:
        x = ops.cast(reshaped_inputs, keras.backend.result_type(reshaped_inputs.dtype, "float32"))
        # The channels are split into groups, on the axis before the last.
        axes = [axis for axis in range(1, len(x.shape)) if axis != len(x.shape) - 2]
        centred = x - ops.mean(x, axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axes, keepdims=True)
        y = centred * ops.rsqrt(variance + self.epsilon)
        shape = self._create_broadcast_shape(input_shape)
        if self.scale:
            y = y * ops.cast(ops.reshape(self.gamma, shape), x.dtype)
        if self.center:
            y = y + ops.cast(ops.reshape(self.beta, shape), x.dtype)
        return ops.cast(y, reshaped_inputs.dtype)


@keras.saving.register_keras_serializable(package="archspec")
class LocalResponseNormalization(layers.Layer):
    """x / (k + alpha / size * sum of squares) ** beta over `size` neighbouring channels."""

    def __init__(
        self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def call(self, inputs: Any) -> Any:
        # A band matrix sums neighbours and a logarithm gives the power: both are faster.
        at = np.arange(inputs.shape[-1])
        band = (np.abs(at[:, None] - at) <= self.size // 2) * (self.alpha / self.size)
        total = self.k + ops.matmul(ops.square(inputs), ops.convert_to_tensor(band, inputs.dtype))
        return inputs * ops.exp(-self.beta * ops.log(total))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
        }
