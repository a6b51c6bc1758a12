"""Gradients in half precision that TensorFlow sums in float32.

The gradient of what was broadcast, such as a bias, is a sum over a batch and its positions. On CPUs
TensorFlow 2.21 sums in the type of the values, of biases in bfloat16 and of others in float16: a
sum stops growing once a value is below its last digit.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUntypedFunctionDecorator=false
# TensorFlow is typed in part only.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

BROADCASTING = ("AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum", "SquaredDifference")
"""Operations of two tensors, of which one may be broadcast."""
PREFIX = "ArchspecFloat32"


def gradients(
    function: Callable[[dict[str, Any]], tuple[Any, Any]], tensors: dict[str, Any]
) -> tuple[dict[str, Any], Any]:
    """Return the gradients of a function's first result, and its second result.

    It has to be called while `tf.function` traces.
    """
    graph: Any = tf.compat.v1.get_default_graph()
    names = {name: PREFIX + name for name in ("BiasAdd", *BROADCASTING)}
    with graph.gradient_override_map(names):
        total, rest = function(tensors)
    zero = tf.UnconnectedGradients.ZERO
    found = tf.gradients(total, list(tensors.values()), unconnected_gradients=zero)
    return dict(zip(tensors, found, strict=True)), rest


@tf.RegisterGradient(PREFIX + "BiasAdd")
def _bias_add(operation: Any, gradient: Any) -> tuple[Any, Any]:
    total = tf.raw_ops.BiasAddGrad(
        out_backprop=tf.cast(gradient, tf.float32),
        data_format=operation.get_attr("data_format").decode(),
    )
    return gradient, tf.cast(total, gradient.dtype)


def _broadcasting(operation: Any, gradient: Any) -> list[Any]:
    """Differentiate by the whole tensors, and sum where they were broadcast."""
    shape = tf.shape(gradient)
    x, y = (tf.broadcast_to(tensor, shape) for tensor in operation.inputs)
    again = getattr(tf.raw_ops, operation.type)(x=x, y=y)
    whole = tf.gradients(again, [x, y], gradient)
    return [_sum_to(g, tensor) for g, tensor in zip(whole, operation.inputs, strict=True)]


def _sum_to(gradient: Any, tensor: Any) -> Any:
    """Return the gradient of a tensor, from that of the same tensor broadcast."""
    if gradient.shape == tensor.shape:
        return gradient
    shape = tf.shape(tensor)
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=shape, s1=tf.shape(gradient))
    total = tf.reduce_sum(tf.cast(gradient, tf.float32), axes)
    return tf.reshape(tf.cast(total, gradient.dtype), shape)


for _name in BROADCASTING:
    tf.RegisterGradient(PREFIX + _name)(_broadcasting)
