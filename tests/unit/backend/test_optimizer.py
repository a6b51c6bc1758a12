"""Update rules, clipping and averages as PyTorch has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_swa_avg_fn

from archspec.backend.optimizer import clip_by_global_norm, update_average, update_rule
from archspec.conformance.compare import compare, compare_all
from archspec.ir.recipe import Recipe

RULES: dict[str, tuple[Recipe, Callable[..., torch.optim.Optimizer], float]] = {
    "plain": (Recipe(), torch.optim.SGD, 0.0),
    "decay": (Recipe(), torch.optim.SGD, 0.1),
    "momentum": (Recipe(momentum=0.9), lambda p, **k: torch.optim.SGD(p, momentum=0.9, **k), 0.1),
    "nesterov": (
        Recipe(momentum=0.9, nesterov=True),
        lambda p, **k: torch.optim.SGD(p, momentum=0.9, nesterov=True, **k),
        0.1,
    ),
    "adamw": (Recipe(optimizer="adamw"), torch.optim.AdamW, 0.1),
    "adamw, other fields": (
        Recipe(optimizer="adamw", betas=(0.5, 0.7), eps=1e-2),
        lambda p, **k: torch.optim.AdamW(p, betas=(0.5, 0.7), eps=1e-2, **k),
        0.0,
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_torchs_while_the_rate_moves(name: str) -> None:
    recipe, make, decay = RULES[name]
    rng, rule = np.random.default_rng(0), update_rule(recipe)
    tensor = rng.standard_normal((3, 4))
    theirs = torch.tensor(tensor, requires_grad=True)
    optimizer = make([theirs], lr=1.0, weight_decay=decay)
    slots: dict[str, Any] = {}
    for update, rate in enumerate((0.1, 0.3, 0.05, 0.2), 1):
        gradient = rng.standard_normal((3, 4))
        tensor, slots = rule.step(
            tensor, gradient, slots, learning_rate=rate, weight_decay=decay, update=update
        )
        assert set(slots) == set(rule.slots)
        optimizer.param_groups[0]["lr"] = rate
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        compare(tensor, theirs.detach().numpy(), bound=1e-12, what=f"update {update}")


@pytest.mark.parametrize("norm", [None, 0.5, 1e6])
def test_clipping_is_torchs(norm: float | None) -> None:
    rng = np.random.default_rng(0)
    gradients = {name: rng.standard_normal(shape) for name, shape in (("a", (3, 4)), ("b", (5,)))}
    theirs = [
        torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in gradients.values()
    ]
    for parameter, g in zip(theirs, gradients.values(), strict=True):
        parameter.grad = torch.tensor(g)
    if norm is not None:
        torch.nn.utils.clip_grad_norm_(theirs, norm)
    wanted = {
        name: p.grad.numpy()
        for name, p in zip(gradients, theirs, strict=True)
        if p.grad is not None
    }
    compare_all(
        clip_by_global_norm(gradients, norm), wanted, bound=1e-6
    )  # torch adds 1e-6 to the norm


@pytest.mark.parametrize("average", ["polyak", "ema"])
def test_averages_are_torchs(average: Any) -> None:
    recipe = Recipe(average="ema", ema_decay=0.7) if average == "ema" else Recipe(average="polyak")
    model = torch.nn.Linear(2, 3, dtype=torch.float64)
    theirs = AveragedModel(
        model, avg_fn=get_ema_avg_fn(0.7) if average == "ema" else get_swa_avg_fn()
    )
    mean: dict[str, Any] = {}
    for update in range(1, 6):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn(
                    parameter.shape, generator=torch.Generator().manual_seed(update)
                )
        theirs.update_parameters(model)
        tensors = {name: value.numpy().copy() for name, value in model.state_dict().items()}
        mean = update_average(recipe, mean, tensors, update)
        compare_all(
            mean, {n: v.numpy() for n, v in theirs.module.state_dict().items()}, bound=1e-12
        )


def test_no_average_is_none() -> None:
    assert update_average(Recipe(), {}, {"w": np.ones(2)}, 3) == {}
