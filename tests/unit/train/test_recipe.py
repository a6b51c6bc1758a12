"""The recipe: what it refuses, and learning rates as PyTorch's schedulers move them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.optim import lr_scheduler

from archspec.ir.recipe import Augment, Recipe, Schedule


def by_torch(make: Any, steps: int, rate: float = 1.0) -> list[float]:
    """The rates of so many steps under one of torch's schedulers."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make(optimizer)
    found: list[float] = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@given(st.integers(1, 4), st.floats(0.01, 1), st.integers(1, 5), st.integers(1, 6))
def test_steps_are_torchs(every: int, factor: float, steps: int, epochs: int) -> None:
    recipe = Recipe(
        learning_rate=0.3, epochs=epochs, schedule=Schedule(kind="step", every=every, factor=factor)
    )
    wanted = by_torch(lambda o: lr_scheduler.StepLR(o, every * steps, factor), steps * epochs, 0.3)
    assert [
        recipe.learning_rate_at(step, steps) for step in range(steps * epochs)
    ] == pytest.approx(wanted, rel=1e-9)


@given(st.integers(1, 5), st.integers(1, 6), st.floats(0, 1))
def test_a_cosine_is_torchs(steps: int, epochs: int, final: float) -> None:
    schedule, total = Schedule(kind="cosine", final=final), steps * epochs
    wanted = by_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, total, final), total)
    assert [schedule.multiplier(step, steps, epochs) for step in range(total)] == pytest.approx(
        wanted, abs=1e-9
    )


@given(st.integers(1, 5), st.integers(1, 6), st.floats(0.2, 3))
def test_a_polynomial_is_torchs(steps: int, epochs: int, power: float) -> None:
    schedule, total = Schedule(kind="poly", power=power), steps * epochs
    wanted = by_torch(lambda o: lr_scheduler.PolynomialLR(o, total, power), total)
    assert [schedule.multiplier(step, steps, epochs) for step in range(total)] == pytest.approx(
        wanted, abs=1e-9
    )


@given(st.integers(1, 3), st.integers(2, 5))
def test_warm_up_rises_to_the_rate_and_the_rest_begins_after_it(warmup: int, steps: int) -> None:
    rising, epochs = warmup * steps, warmup + 2
    flat = Schedule(warmup=warmup)
    shares = [flat.multiplier(step, steps, epochs) for step in range(epochs * steps)]
    wanted = (
        by_torch(lambda o: lr_scheduler.LinearLR(o, 1 / rising, 1.0, rising - 1), rising)
        if rising > 1
        else [1.0]
    )
    assert shares[:rising] == pytest.approx(wanted, rel=1e-9)
    assert shares[rising:] == [1.0] * (2 * steps)
    cosine, plain = Schedule(kind="cosine", warmup=warmup), Schedule(kind="cosine")
    assert [
        cosine.multiplier(rising + step, steps, epochs) for step in range(2 * steps)
    ] == pytest.approx([plain.multiplier(step, steps, 2) for step in range(2 * steps)])


def test_steps_are_counted_from_the_start_as_papers_count_them() -> None:
    schedule = Schedule(kind="step", every=2, factor=0.5, warmup=1)
    assert [schedule.multiplier(10 * epoch, 10, 5) for epoch in range(1, 5)] == [
        1.0,
        0.5,
        0.5,
        0.25,
    ]


def test_the_papers_rate_falls_by_4_percent_every_8_epochs() -> None:
    recipe = Recipe(
        learning_rate=1.0, epochs=24, schedule=Schedule(kind="step", every=8, factor=0.96)
    )
    assert [
        recipe.learning_rate_at(100 * epoch, 100) for epoch in (0, 7, 8, 15, 16)
    ] == pytest.approx([1, 1, 0.96, 0.96, 0.9216])


@pytest.mark.parametrize(
    ("section", "fields", "message"),
    [
        (Schedule, {"kind": "step"}, "needs `every` and `factor`"),
        (Schedule, {"kind": "step", "every": 3}, "needs `every` and `factor`"),
        (
            Schedule,
            {"kind": "cosine", "factor": 0.1},
            "`factor` is for the schedule step, found cosine",
        ),
        (
            Schedule,
            {"kind": "step", "every": 1, "factor": 0.5, "final": 0.1},
            "`final` is for the schedule cosine and poly",
        ),
        (Schedule, {"power": 2.0}, "`power` is for the schedule poly, found constant"),
        (
            Recipe,
            {"optimizer": "adamw", "momentum": 0.9},
            "`momentum` is for the optimizer sgd, found adamw",
        ),
        (Recipe, {"betas": (0.9, 0.99)}, "`betas` is for the optimizer adamw, found sgd"),
        (Recipe, {"ema_decay": 0.9}, "`ema_decay` is for the average ema, found none"),
        (Recipe, {"nesterov": True}, "`nesterov` needs a `momentum` above 0"),
        (Recipe, {"no_decay": ("bias",)}, "`no_decay` needs a `weight_decay` above 0"),
        (Recipe, {"batch": 3, "accumulate": 10}, "a batch of 3 cannot be computed in 10 parts"),
        (
            Recipe,
            {"epochs": 2, "schedule": {"warmup": 3}},
            "a warm-up of 3 epochs does not end within 2",
        ),
        (Augment, {"area": (1.0, 0.5)}, "`area` states the smallest first"),
        (Augment, {"aspect": (0.5, 2.0)}, "`aspect` is for the crop that `area` states"),
    ],
)
def test_what_makes_no_sense_is_refused(section: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        section(**fields)
    assert message in str(refused.value)
