"""Update rules, defined in numpy: what one optimizer step does to one tensor, on every backend.

>>> import numpy as np
>>> rule = update_rule(Recipe(optimizer="sgd", momentum=0.9))
>>> tensor, slots = rule.step(
...     np.ones(1), np.ones(1), {}, learning_rate=0.1, weight_decay=0.0, update=1
... )
>>> tensor.tolist(), list(slots)
([0.9], ['momentum'])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from archspec._numpy import Array, np
from archspec.ir.recipe import Recipe


@dataclass(frozen=True, slots=True)
class SGD:
    """Stochastic gradient descent, with PyTorch's conventions.

        g = gradient + weight_decay * p
        v = momentum * v + g                       (v = g at the first update)
        p -= learning_rate * (g + momentum * v if nesterov else v)

    The weight decay is part of the gradient, and v does not depend on the learning rate.
    """

    momentum: float = 0.0
    nesterov: bool = False

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    def step(
        self,
        tensor: Array,
        gradient: Array,
        slots: Mapping[str, Array],
        *,
        learning_rate: float,
        weight_decay: float,
        update: int,
    ) -> tuple[Array, dict[str, Array]]:
        g = gradient + weight_decay * tensor
        if not self.momentum:
            return tensor - learning_rate * g, {}
        v = self.momentum * slots["momentum"] + g if slots else g
        direction = g + self.momentum * v if self.nesterov else v
        return tensor - learning_rate * direction, {"momentum": v}


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

        p -= learning_rate * weight_decay * p
        m = beta1 * m + (1 - beta1) * gradient     (m = 0 before the first update)
        v = beta2 * v + (1 - beta2) * gradient^2   (v = 0 before the first update)
        p -= learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    t is the number of the update, from 1.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    @property
    def slots(self) -> tuple[str, ...]:
        return ("mean", "square")

    def step(
        self,
        tensor: Array,
        gradient: Array,
        slots: Mapping[str, Array],
        *,
        learning_rate: float,
        weight_decay: float,
        update: int,
    ) -> tuple[Array, dict[str, Array]]:
        beta1, beta2 = self.betas
        mean = beta1 * slots.get("mean", np.zeros_like(tensor)) + (1 - beta1) * gradient
        square = beta2 * slots.get("square", np.zeros_like(tensor)) + (1 - beta2) * gradient**2
        corrected_mean = mean / (1 - beta1**update)
        direction = corrected_mean / (np.sqrt(square / (1 - beta2**update)) + self.eps)
        decayed = tensor * (1 - learning_rate * weight_decay)
        return decayed - learning_rate * direction, {"mean": mean, "square": square}


UpdateRule: TypeAlias = SGD | AdamW
"""An optimizer's rule. `slots` names the arrays it keeps for each tensor, of the tensor's shape.
`step` returns the tensor and its slots after an update; updates count from 1, and the first one has
no slots yet. A backend dispatches on it with `match` and `assert_never`, so that the type checker
finds each backend that lacks a new rule."""


def update_rule(recipe: Recipe) -> UpdateRule:
    """Return the rule that a recipe names."""
    match recipe.optimizer:
        case "sgd":
            return SGD(recipe.momentum, recipe.nesterov)
        case "adamw":
            return AdamW(recipe.betas, recipe.eps)
        case _:
            assert_never(recipe.optimizer)


def clip_by_global_norm(gradients: Mapping[str, Array], max_norm: float | None) -> dict[str, Array]:
    """Scale all gradients by one factor so that their joint L2 norm is at most `max_norm`.

    Without `max_norm`, or with a smaller norm, they are returned as they are.
    """
    if max_norm is None:
        return dict(gradients)
    squares = (float((g.astype(np.float64) ** 2).sum()) for g in gradients.values())
    norm = float(np.sqrt(sum(squares)))
    if not norm > max_norm:  # a norm that is NaN scales nothing
        return dict(gradients)
    return {name: g * (max_norm / norm) for name, g in gradients.items()}


def update_average(
    recipe: Recipe, average: Mapping[str, Array], tensors: Mapping[str, Array], update: int
) -> dict[str, Array]:
    """Return the average of the tensors after an update.

    Updates count from 1; the first average is the tensors themselves. `polyak` is the mean over all
    updates, `ema` keeps `ema_decay` of the average before. With `average: none` there is none, and
    the result is empty.
    """
    if recipe.average == "none":
        return {}
    if update == 1:
        return {name: tensor.copy() for name, tensor in tensors.items()}
    weight = 1 / update if recipe.average == "polyak" else 1 - recipe.ema_decay
    return {
        name: average[name] + weight * (tensor - average[name]) for name, tensor in tensors.items()
    }
