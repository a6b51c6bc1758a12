"""The losses of `archspec.reference.loss` in Keras's operations, channels last."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportOperatorIssue=false, reportOptionalOperand=false, reportArgumentType=false
# Keras is typed in part only, and its operations as if they could return None.

from __future__ import annotations

from typing import Any

from keras import ops


def head_loss(kind: str, output: Any, labels: Any, smoothing: float) -> Any:
    """Return the mean loss of a batch, from outputs [N, ..., C] and labels [N, ...]."""
    match kind:
        case "mse":
            return ops.mean(ops.square(output - ops.moveaxis(labels, 1, -1)))
        case "cross_entropy":
            target = _smoothed(_one_hot(output, labels), smoothing, output)
            return -ops.mean(ops.sum(target * ops.log_softmax(output, axis=-1), axis=-1))
        case "binary_cross_entropy":
            # A single output has labels of 0 and 1; several have the number of the class.
            single = output.shape[-1] == 1
            exact = ops.reshape(labels, output.shape) if single else _one_hot(output, labels)
            target = _smoothed(exact, smoothing, output, classes=2)
            return ops.mean(ops.sum(ops.softplus(output) - output * target, axis=-1))
        case _:
            raise ValueError(f"unknown loss {kind!r}")


def _one_hot(output: Any, labels: Any) -> Any:
    return ops.one_hot(labels, output.shape[-1])


def _smoothed(exact: Any, smoothing: float, output: Any, classes: int | None = None) -> Any:
    """Mix exact targets with an even distribution over the classes."""
    even = 1 / (classes or output.shape[-1])
    return ops.cast(exact, output.dtype) * (1 - smoothing) + smoothing * even
