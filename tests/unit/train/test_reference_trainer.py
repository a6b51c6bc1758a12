"""The trainer that defines training, held against a loop that one would write in PyTorch, in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import archspec
from archspec.backend.trainer import ParamGroup, TrainerConfig, param_groups
from archspec.conformance.compare import compare, compare_all
from archspec.diagnostics import Failure
from archspec.ir.recipe import Recipe
from archspec.reference.trainer import ReferenceTrainer
from archspec.weights.init import initial_tensors
from tests.helpers.specs import TWO_HEADS, checked

RECIPES = {
    "sgd": Recipe(momentum=0.9, nesterov=True, weight_decay=0.01),
    "adamw": Recipe(optimizer="adamw", weight_decay=0.1, no_decay=("bias", "norm")),
    "clipped": Recipe(clip_norm=0.5, label_smoothing=0.1),
    "in parts": Recipe(batch=8, accumulate=2, momentum=0.5),
    "averaged": Recipe(average="polyak"),
    "frozen": Recipe(
        freeze=("one.*",), lr_multipliers={"two.*": 3.0, "two.bias": 0.5}, momentum=0.9
    ),
    "still": Recipe(freeze=("one.*", "bn.running_*"), momentum=0.9, accumulate=2),
}


def by_torch(model: Any, recipe: Recipe, batches: list[Any], rates: list[float]) -> list[float]:
    """A plain loop over a model whose heads are (main, side): the losses."""
    # The names of the emitted model are those of the graph here.
    groups: list[dict[str, Any]] = []
    for name, parameter in model.named_parameters():
        frozen = name.startswith("one.") and bool(recipe.freeze)
        factor = (
            {"two.weight": 3.0, "two.bias": 0.5}.get(name, 1.0) if recipe.lr_multipliers else 1.0
        )
        exempt = bool(recipe.no_decay) and ("bias" in name or name.startswith("bn."))
        if not frozen:
            decay = 0.0 if exempt else recipe.weight_decay
            groups.append({"params": [parameter], "weight_decay": decay, "factor": factor})
    if recipe.optimizer == "adamw":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=1.0)
    else:
        optimizer = torch.optim.SGD(
            groups, lr=1.0, momentum=recipe.momentum, nesterov=recipe.nesterov
        )
    losses: list[float] = []
    for (x, y), rate in zip(batches, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        optimizer.zero_grad()
        whole = 0.0
        for part in np.split(np.arange(len(x)), recipe.accumulate):
            model.train()
            if "bn.running_*" in recipe.freeze:
                model.bn.eval()
            main, side = model(torch.tensor(x[part]))
            target = torch.tensor(y[part])
            value = F.cross_entropy(main, target, label_smoothing=recipe.label_smoothing)
            value = value + 0.3 * F.cross_entropy(
                side, target, label_smoothing=recipe.label_smoothing
            )
            (value / recipe.accumulate).backward()
            whole += value.item() / recipe.accumulate
        if recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(
                [p for g in groups for p in g["params"]], recipe.clip_norm
            )
        optimizer.step()
        losses.append(whole)
    return losses


@pytest.mark.parametrize("name", RECIPES)
def test_it_trains_as_a_plain_loop_does(name: str, tmp_path: Path) -> None:
    recipe, spec = RECIPES[name], checked(TWO_HEADS)
    tensors = {k: v.astype(np.float64) for k, v in initial_tensors(spec.graph, 0).items()}
    tensors |= {"bn.running_mean": np.full(4, 0.5), "bn.running_var": np.full(4, 2.0)}
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((8, 2, 6, 6)), rng.integers(0, 4, 8)) for _ in range(4)]
    rates = [0.1, 0.2, 0.05, 0.1]
    trainer = ReferenceTrainer(TrainerConfig(spec.graph, recipe), tensors)
    found: list[float] = []
    means: list[Any] = []
    for (x, y), rate in zip(batches, rates, strict=True):
        trainer.step(x, y, rate)
        found.append(trainer.losses()["loss"])
        means.append(trainer.save().tensors)
    model = archspec.build(spec, seed=0).double()
    model.load_state_dict(
        {name: torch.tensor(value) for name, value in tensors.items()}, strict=False
    )
    compare(
        found, by_torch(model, recipe, batches, rates), bound=1e-6 if recipe.clip_norm else 1e-9
    )
    kept, own = (
        trainer.save(),
        {n: v.numpy() for n, v in model.state_dict().items() if "num_batches" not in n},
    )
    compare_all(kept.tensors, own, bound=1e-5 if recipe.clip_norm else 1e-9, what=name)
    assert kept.updates == 4
    if recipe.average == "polyak":
        mean = {key: np.mean([one[key] for one in means], axis=0) for key in means[0]}
        compare_all(kept.average, mean, bound=1e-12)


def test_it_resumes_from_its_state() -> None:
    recipe, spec = Recipe(optimizer="adamw", average="ema", ema_decay=0.5), checked(TWO_HEADS)
    rng = np.random.default_rng(0)
    batches = [(rng.standard_normal((4, 2, 6, 6)), rng.integers(0, 4, 4)) for _ in range(4)]
    whole, first, second = (
        ReferenceTrainer(TrainerConfig(spec.graph, recipe), initial_tensors(spec.graph, seed))
        for seed in (0, 0, 1)
    )
    for x, y in batches:
        whole.step(x, y, 0.1)
    for x, y in batches[:2]:
        first.step(x, y, 0.1)
    second.restore(first.save())
    for x, y in batches[2:]:
        second.step(x, y, 0.1)
    for one, other in zip(
        (whole.save().tensors, whole.save().average, whole.save().slots),
        (second.save().tensors, second.save().average, second.save().slots),
        strict=True,
    ):
        compare_all(one, other, bound=0.0)
    compare(whole.predict(batches[0][0]), second.predict(batches[0][0]), bound=0.0)


def test_what_is_predicted_is_the_averages() -> None:
    spec = checked(TWO_HEADS)
    trainer = ReferenceTrainer(
        TrainerConfig(spec.graph, Recipe(average="ema", ema_decay=0.9)),
        initial_tensors(spec.graph, 0),
    )
    x, y = np.random.default_rng(0).standard_normal((4, 2, 6, 6)), np.arange(4)
    for _ in range(3):
        trainer.step(x, y, 0.5)
    plain = ReferenceTrainer(TrainerConfig(spec.graph, Recipe()), trainer.save().average)
    compare(trainer.predict(x), plain.predict(x), bound=0.0)
    assert (
        np.abs(
            trainer.predict(x)
            - ReferenceTrainer(TrainerConfig(spec.graph, Recipe()), trainer.save().tensors).predict(
                x
            )
        ).max()
        > 1e-3
    )


def test_settings_by_pattern_and_kind() -> None:
    recipe = Recipe(
        weight_decay=0.5,
        no_decay=("norm",),
        freeze=("one.*",),
        lr_multipliers={"two.*": 2.0, "*.bias": 3.0},
    )
    assert param_groups(recipe, checked(TWO_HEADS).graph) == {
        "bn.weight": ParamGroup(1.0, 0.0),
        "bn.bias": ParamGroup(3.0, 0.0),
        "two.weight": ParamGroup(2.0, 0.5),
        "two.bias": ParamGroup(3.0, 0.5),
        "side.fc.weight": ParamGroup(1.0, 0.5),
        "side.fc.bias": ParamGroup(3.0, 0.5),
    }


@pytest.mark.parametrize(
    "recipe", [Recipe(freeze=("onee.*",)), Recipe(lr_multipliers={"tow.weight": 2.0})]
)
def test_a_pattern_that_fits_nothing_is_refused(recipe: Recipe) -> None:
    with pytest.raises(Failure, match="matches no tensor"):
        param_groups(recipe, checked(TWO_HEADS).graph)


def test_a_mean_that_is_frozen_without_its_variance_is_refused() -> None:
    plan = TrainerConfig(checked(TWO_HEADS).graph, Recipe(freeze=("*.running_mean",)))
    with pytest.raises(
        Failure,
        match=r"one of the running statistics of `bn` \(.*spec.yaml:7:16\) is frozen, the other is not",
    ) as caught:
        ReferenceTrainer(plan, initial_tensors(plan.graph, 0))
    assert caught.value.help == "freeze `bn.running_*`, or neither"


@pytest.mark.parametrize(
    ("freeze", "rates", "idle"),
    [
        (("one.*",), {"one.weight": 2.0}, "one.weight"),
        ((), {"*.running_*": 2.0}, "*.running_*"),
        ((), {"two.bias": 3.0, "two.*": 2.0}, "two.bias"),
    ],
)
def test_a_rate_by_which_nothing_is_trained_is_refused(freeze: Any, rates: Any, idle: str) -> None:
    with pytest.raises(Failure) as caught:
        param_groups(Recipe(freeze=freeze, lr_multipliers=rates), checked(TWO_HEADS).graph)
    assert caught.value.message == f"no tensor is trained by the learning rate of `{idle}`"
