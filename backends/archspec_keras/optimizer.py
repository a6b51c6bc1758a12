"""The arithmetic of `archspec.backend.optimizer` and `archspec.reference.loss` in Keras's operations, channels last.

Keras's own SGD remembers -rate * v, which is another thing as soon as the rate moves, and keeps weight decay out of the
gradient; its Adam adds epsilon before the bias is corrected. So the rules are written out.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportOperatorIssue=false, reportOptionalOperand=false, reportArgumentType=false, reportCallIssue=false
# Keras is typed in part alone, and its operations as if they could give None.

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops

from archspec.backend.optimizer import SGD, AdamW, update_rule
from archspec.ir.recipe import Recipe

Tensors = dict[str, Any]
Rule = Callable[..., tuple[Any, Tensors]]
"""From a tensor, its gradient and slots, the rate, its decay and the count of updates to the tensor and its slots."""


def rule(recipe: Recipe) -> Rule:
    """How a tensor moves; slots are zero before the first update, whose count is 1."""
    match update_rule(recipe):
        case SGD() as momentum:
            return lambda *given: _momentum(momentum, *given)
        case AdamW() as adamw:
            return lambda *given: _adamw(adamw, *given)


def _momentum(
    own: SGD, tensor: Any, gradient: Any, slots: Tensors, rate: Any, decay: float, update: Any
) -> tuple[Any, Tensors]:
    g = gradient + decay * tensor if decay else gradient
    if not own.momentum:
        return tensor - rate * g, {}
    v = own.momentum * slots["momentum"] + g
    return tensor - rate * (g + own.momentum * v if own.nesterov else v), {"momentum": v}


def _adamw(
    own: AdamW, tensor: Any, gradient: Any, slots: Tensors, rate: Any, decay: float, update: Any
) -> tuple[Any, Tensors]:
    one, two = own.betas
    mean = one * slots["mean"] + (1 - one) * gradient
    square = two * slots["square"] + (1 - two) * ops.square(gradient)
    length = (
        mean / _correction(one, update) / (ops.sqrt(square / _correction(two, update)) + own.eps)
    )
    kept = tensor * (1 - rate * decay) if decay else tensor
    return kept - rate * length, {"mean": mean, "square": square}


def _correction(beta: float, update: Any) -> Any:
    """1 - beta^update, which loses half its digits in float32 if it is computed as it stands."""
    return -ops.expm1(update * math.log(beta)) if beta else 1.0


def clipped(gradients: Tensors, norm: float | None) -> Tensors:
    """Scaled to that norm, of all of them together, where theirs is larger."""
    if norm is None:
        return gradients
    whole = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients.values()))
    return {name: g * (norm / ops.maximum(whole, norm)) for name, g in gradients.items()}


def averaged(recipe: Recipe, mean: Tensors, tensors: Tensors, update: Any) -> Tensors:
    """The mean of the tensors after an update; that of the first is the tensors."""
    share = 1 / update
    if recipe.average == "ema":
        share = ops.where(update == 1, 1.0, 1 - recipe.ema_decay)
    return {name: kept + share * (tensors[name] - kept) for name, kept in mean.items()}


def head_loss(kind: str, output: Any, labels: Any, smoothing: float) -> Any:
    """The mean loss of a batch, from an output [N, ..., C] and its labels [N, ...]."""
    if kind == "mse":
        return ops.mean(ops.square(output - ops.moveaxis(labels, 1, -1)))
    classes = output.shape[-1]
    single = kind == "binary_cross_entropy" and classes == 1
    exact = ops.reshape(labels, output.shape) if single else ops.one_hot(labels, classes)
    even = 1 / 2 if kind == "binary_cross_entropy" else 1 / classes
    wanted = ops.cast(exact, output.dtype) * (1 - smoothing) + smoothing * even
    if kind == "cross_entropy":
        return -ops.mean(ops.sum(wanted * ops.log_softmax(output, axis=-1), axis=-1))
    return ops.mean(ops.sum(ops.softplus(output) - output * wanted, axis=-1))
