"""Activations that Keras lacks or computes in another way."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportUnknownLambdaType=false
# Keras is typed in part only, and its operations as if they could return None.

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="archspec")
class LeakyReLU(layers.LeakyReLU):
    """Keras's own, with the slope in the precision of the values."""

    def call(self, inputs: Any) -> Any:
        return ops.where(inputs > 0, inputs, self.negative_slope * inputs)


@keras.saving.register_keras_serializable(package="archspec")
class Gelu(layers.Layer):
    """x times the normal distribution function at x, exact or by BERT's tanh approximation."""

    def __init__(self, approximate: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.approximate = approximate

    def call(self, inputs: Any) -> Any:
        if self.approximate:
            return (
                0.5
                * inputs
                * (1 + ops.tanh(math.sqrt(2 / math.pi) * (inputs + 0.044715 * inputs**3)))
            )
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
