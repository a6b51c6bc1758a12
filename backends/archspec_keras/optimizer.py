"""The update rules of `archspec.backend.optimizer` in Keras's operations.

Keras's own SGD stores -learning_rate * v, which differs as soon as the learning rate changes, and
keeps weight decay out of the gradient; its Adam adds epsilon before the bias correction. So the
rules are written out here.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, assert_never

import keras

from archspec.backend.optimizer import SGD, AdamW, update_rule
from archspec.ir.recipe import Recipe

ops: Any = keras.ops
"""Keras types these in part only, and as if they could return None."""

Tensors = dict[str, Any]
UpdateFunction = Callable[..., tuple[Any, Tensors]]
"""Take a tensor, its gradient, its slots, the learning rate, its weight decay and the number of the
update; return the tensor and its slots after it."""


def update_function(recipe: Recipe) -> UpdateFunction:
    """Return the recipe's update. Slots are zero before the first update, which is number 1."""
    rule = update_rule(recipe)
    match rule:
        case SGD():
            return partial(_sgd, rule)
        case AdamW():
            return partial(_adamw, rule)
        case _:
            assert_never(rule)


def _sgd(
    rule: SGD,
    tensor: Any,
    gradient: Any,
    slots: Tensors,
    learning_rate: Any,
    weight_decay: float,
    update: Any,
) -> tuple[Any, Tensors]:
    g = gradient + weight_decay * tensor if weight_decay else gradient
    if not rule.momentum:
        return tensor - learning_rate * g, {}
    v = rule.momentum * slots["momentum"] + g
    direction = g + rule.momentum * v if rule.nesterov else v
    return tensor - learning_rate * direction, {"momentum": v}


def _adamw(
    rule: AdamW,
    tensor: Any,
    gradient: Any,
    slots: Tensors,
    learning_rate: Any,
    weight_decay: float,
    update: Any,
) -> tuple[Any, Tensors]:
    beta1, beta2 = rule.betas
    mean = beta1 * slots["mean"] + (1 - beta1) * gradient
    square = beta2 * slots["square"] + (1 - beta2) * ops.square(gradient)
    root = ops.sqrt(square / _bias_correction(beta2, update)) + rule.eps
    direction = mean / _bias_correction(beta1, update) / root
    decayed = tensor * (1 - learning_rate * weight_decay) if weight_decay else tensor
    return decayed - learning_rate * direction, {"mean": mean, "square": square}


def _bias_correction(beta: float, update: Any) -> Any:
    """Return 1 - beta^update. Computed as written, it would lose half its digits in float32."""
    return -ops.expm1(update * math.log(beta)) if beta else 1.0


def clip_by_global_norm(gradients: Tensors, norm: float | None) -> Tensors:
    """Scale the gradients so that the norm of all of them together is at most `norm`."""
    if norm is None:
        return gradients
    global_norm = ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients.values()))
    return {name: g * (norm / ops.maximum(global_norm, norm)) for name, g in gradients.items()}


def update_average(recipe: Recipe, mean: Tensors, tensors: Tensors, update: Any) -> Tensors:
    """Return the recipe's mean of the tensors after an update; the first mean is the tensors.

    `mean` is empty where the recipe averages nothing.
    """
    match recipe.average:
        case "none" | "polyak":
            share = 1 / update
        case "ema":
            share = ops.where(update == 1, 1.0, 1 - recipe.ema_decay)
        case _:
            assert_never(recipe.average)
    return {name: before + share * (tensors[name] - before) for name, before in mean.items()}
