"""Merges that Keras lacks or computes in another way."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportOperatorIssue=false, reportOptionalSubscript=false, reportOptionalOperand=false
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportUnknownLambdaType=false
# Keras is typed in part only, and its operations as if they could return None.

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="archspec")
class Sum(layers.Layer):
    """The sum of values of which some are spread along axes of size 1."""

    def call(self, inputs: Any) -> Any:
        return reduce(operator.add, inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        first, *others = input_shape
        return (
            first[0],
            *(
                max(sizes)
                for sizes in zip(first[1:], *(shape[1:] for shape in others), strict=True)
            ),
        )
