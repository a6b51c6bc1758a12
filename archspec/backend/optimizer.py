"""Update rules, with one meaning everywhere: the definitions, in numpy, of a tensor's step.

>>> import numpy as np
>>> rule = update_rule(Recipe(optimizer="sgd", momentum=0.9))
>>> moved, slots = rule.step(np.ones(1), np.ones(1), {}, rate=0.1, decay=0.0, update=1)
>>> moved.tolist(), list(slots)
([0.9], ['momentum'])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from archspec._numpy import Array, np
from archspec.ir.recipe import Recipe


@dataclass(frozen=True, slots=True)
class SGD:
    """Stochastic gradient descent.

    g = gradient + decay * p; v = momentum * v + g, v = g at first; p -= rate * (g + momentum * v if nesterov else v).
    The decay is part of the gradient, and v does not depend on the rate, as PyTorch has both.
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
        rate: float,
        decay: float,
        update: int,
    ) -> tuple[Array, dict[str, Array]]:
        g = gradient + decay * tensor
        if not self.momentum:
            return tensor - rate * g, {}
        v = self.momentum * slots["momentum"] + g if slots else g
        return tensor - rate * (g + self.momentum * v if self.nesterov else v), {"momentum": v}


@dataclass(frozen=True, slots=True)
class AdamW:
    """Adam with the decay apart from the gradient (Loshchilov and Hutter, 2019).

    p -= rate * decay * p; m and v are the moving means of the gradient and of its square;
    p -= rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps), where t counts the updates.
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
        rate: float,
        decay: float,
        update: int,
    ) -> tuple[Array, dict[str, Array]]:
        one, two = self.betas
        mean = one * slots.get("mean", np.zeros_like(tensor)) + (1 - one) * gradient
        square = two * slots.get("square", np.zeros_like(tensor)) + (1 - two) * gradient**2
        length = mean / (1 - one**update) / (np.sqrt(square / (1 - two**update)) + self.eps)
        return tensor * (1 - rate * decay) - rate * length, {"mean": mean, "square": square}


UpdateRule: TypeAlias = SGD | AdamW
"""How a tensor moves. `slots` are the names of what is remembered of each tensor, of its shape; `step` gives the tensor
and its slots after an update, the first of which is number 1 and has none yet."""


def update_rule(recipe: Recipe) -> UpdateRule:
    """The rule that a recipe names."""
    if recipe.optimizer == "adamw":
        return AdamW(recipe.betas, recipe.eps)
    return SGD(recipe.momentum, recipe.nesterov)


def clip_by_global_norm(gradients: Mapping[str, Array], norm: float | None) -> dict[str, Array]:
    """Scaled to that norm, of all of them together, where theirs is larger."""
    if norm is None:
        return dict(gradients)
    whole = float(
        np.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients.values()))
    )
    return (
        {name: g * (norm / whole) for name, g in gradients.items()}
        if whole > norm
        else dict(gradients)
    )


def update_average(
    recipe: Recipe, mean: Mapping[str, Array], tensors: Mapping[str, Array], update: int
) -> dict[str, Array]:
    """The mean of the tensors after an update, counted from 1; that of the first is the tensors.

    `polyak` is the mean of them all, and `ema` keeps `ema_decay` of what it was.
    """
    if recipe.average == "none":
        return {}
    if update == 1:
        return {name: tensor.copy() for name, tensor in tensors.items()}
    share = 1 / update if recipe.average == "polyak" else 1 - recipe.ema_decay
    return {name: mean[name] + share * (tensor - mean[name]) for name, tensor in tensors.items()}
