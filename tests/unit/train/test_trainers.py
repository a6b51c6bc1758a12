"""Every backend that can train, held against the trainer that defines training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend import available, load
from archspec.compiler import write
from archspec.conformance.compare import compare, compare_all
from archspec.recipe import Recipe
from archspec.reference.loss import loss
from archspec.reference.trainer import ReferenceTrainer
from archspec.spec import Spec
from archspec.trainer import Plan, Standing, Trainer
from archspec.weights.checkpoint import load as load_weights
from tests.helpers.specs import TWO_HEADS, checked

UNREAD = "  - {name: unread, conv: {out: 3, kernel: 1}, from: act}\n"
NET = TWO_HEADS.replace("main: {}", "main: {loss: LOSS}").replace("  - {name: rest", UNREAD + "  - {name: rest")

RECIPES = {
    "sgd": Recipe(),
    "momentum": Recipe(momentum=0.9, weight_decay=0.01),
    "nesterov": Recipe(momentum=0.9, nesterov=True, weight_decay=0.01, exempt=("norm",)),
    "adamw": Recipe(optimizer="adamw", weight_decay=0.1, exempt=("bias",)),
    "adamw, other fields": Recipe(optimizer="adamw", betas=(0.5, 0.7), eps=1e-2),
    "clipped": Recipe(clip=0.5, label_smoothing=0.1),
    "in parts": Recipe(accumulate=3, momentum=0.5),
    "polyak": Recipe(average="polyak"),
    "ema": Recipe(average="ema", decay=0.7, optimizer="adamw"),
    "frozen": Recipe(freeze=("one.*", "bn.*"), rates={"two.*": 3.0, "two.bias": 0.5}, momentum=0.9),
}
TRAINING = [name for name in available() if load(name).trainer]
RATES = (0.1, 0.2, 0.05, 0.1)


def batches(spec: Spec) -> Iterator[tuple[Any, Any, float]]:
    rng = np.random.default_rng(0)
    for rate in RATES:
        yield rng.standard_normal((8, *spec.graph.input)).astype(np.float32), rng.integers(0, 4, 8), rate


def opened(name: str, spec: Spec, recipe: Recipe, folder: Path, seed: int = 0) -> Trainer:
    backend = load(name)
    assert backend.trainer is not None
    return backend.trainer(write(spec, backend, folder / f"{seed}", seed=seed), Plan(spec.graph, recipe))


def reference(spec: Spec, recipe: Recipe, folder: Path) -> ReferenceTrainer:
    return ReferenceTrainer(Plan(spec.graph, recipe), load_weights(folder / "0" / "weights.safetensors", spec.graph))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", TRAINING)
def test_it_trains_as_the_reference_does(name: str, recipe: str, tmp_path: Path) -> None:
    spec = checked(NET.replace("LOSS", "cross_entropy"))
    trainer = opened(name, spec, RECIPES[recipe], tmp_path)
    wanted = reference(spec, RECIPES[recipe], tmp_path)
    for x, y, rate in batches(spec):
        trainer.step(x, y, rate)
        wanted.step(x, y, rate)
        compare_all(trainer.losses(), wanted.losses(), bound=1e-5, what="losses")
    kept, known = trainer.save(), wanted.save()
    compare_all(kept.tensors, known.tensors, bound=1e-5, what="tensors")
    assert kept.updates == len(RATES)
    assert set(kept.slots) == set(known.slots)
    assert set(kept.average) == set(known.average)
    for found, right in ((kept.slots, known.slots), (kept.average, known.average)):
        for key, value in right.items():
            compare(found[key], value, bound=2e-5, what=key)
    x = next(batches(spec))[0]
    compare(trainer.predict(x), wanted.predict(x), bound=1e-5, what="predictions")


@pytest.mark.parametrize("name", TRAINING)
def test_what_is_frozen_is_trained_as_it_is_evaluated(name: str, tmp_path: Path) -> None:
    """Its moving statistics are those of other data."""
    spec = checked(NET.replace("LOSS", "cross_entropy"))
    trainer = opened(name, spec, Recipe(freeze=("bn.*",)), tmp_path)
    kept = trainer.save().tensors | {"bn.running_mean": np.full(4, 3.0), "bn.running_var": np.full(4, 0.1)}
    trainer.restore(Standing(kept))
    x, y, _ = next(batches(spec))
    for _ in range(2):
        wanted, _ = loss("cross_entropy", trainer.predict(x), y)
        trainer.step(x, y, 0.1)
        compare(trainer.losses()["main"], wanted, bound=1e-5)


NORM = """archspec: 1
name: norm
input: [3, 6, 6]
network: [batch_norm, flatten, {name: fc, linear: {out: 4}}]
"""


@pytest.mark.parametrize("name", TRAINING)
def test_batch_norm_is_exact_far_from_zero_and_where_nothing_varies(name: str, tmp_path: Path) -> None:
    spec, rng = checked(NORM), np.random.default_rng(0)
    trainer, wanted = opened(name, spec, Recipe(), tmp_path), reference(spec, Recipe(), tmp_path)
    spread, mean = np.array([0, 0.1, 1]), np.array([30, 100, 1000])
    x = np.moveaxis(mean + spread * rng.standard_normal((8, 6, 6, 3)), -1, 1).astype(np.float32)
    for each in (trainer, wanted):
        each.step(x, np.arange(8) % 4, 0.1)
    compare_all(trainer.losses(), wanted.losses(), bound=1e-3, what="losses")
    for key, value in wanted.save().tensors.items():
        compare(trainer.save().tensors[key], value, bound=1e-3, what=key)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse", "none"])
@pytest.mark.parametrize("name", TRAINING)
def test_it_has_each_loss(name: str, loss: str, tmp_path: Path) -> None:
    spec = checked(NET.replace("LOSS", loss))
    trainer, wanted = opened(name, spec, Recipe(), tmp_path), reference(spec, Recipe(), tmp_path)
    if loss == "mse":  # whose labels the other head's loss could not read
        spec = checked(NET.replace("LOSS", loss).replace("weight: 0.3,", "loss: none,"))
        trainer, wanted = opened(name, spec, Recipe(), tmp_path), reference(spec, Recipe(), tmp_path)
    for x, y, rate in batches(spec):
        labels = np.eye(4, dtype=np.float32)[y] if loss == "mse" else y
        trainer.step(x, labels, rate)
        wanted.step(x, labels, rate)
        compare_all(trainer.losses(), wanted.losses(), bound=1e-5, what="losses")


@pytest.mark.parametrize("recipe", ["nesterov", "ema", "polyak", "frozen"])
@pytest.mark.parametrize("name", TRAINING)
def test_it_goes_on_bit_for_bit_from_where_it_stood(name: str, recipe: str, tmp_path: Path) -> None:
    spec = checked(NET.replace("LOSS", "cross_entropy").replace("drop: 0.0", "drop: 0.5"))
    whole = opened(name, spec, RECIPES[recipe], tmp_path)
    for x, y, rate in batches(spec):
        whole.step(x, y, rate)
    first = opened(name, spec, RECIPES[recipe], tmp_path)
    for x, y, rate in list(batches(spec))[:2]:
        first.step(x, y, rate)
    standing = first.save()
    first.step(*next(batches(spec)))  # what was saved does not move with it
    second = opened(name, spec, RECIPES[recipe], tmp_path, seed=1)
    second.restore(standing)
    for x, y, rate in list(batches(spec))[2:]:
        second.step(x, y, rate)
    for part in ("tensors", "slots", "average"):
        one, other = getattr(whole.save(), part), getattr(second.save(), part)
        assert set(one) == set(other)
        assert all((one[key] == other[key]).all() for key in one), part


@pytest.mark.parametrize("name", TRAINING)
def test_what_one_saved_another_takes_up(name: str, tmp_path: Path) -> None:
    spec, recipe = checked(NET.replace("LOSS", "cross_entropy")), RECIPES["ema"]
    trainer = opened(name, spec, recipe, tmp_path)
    known, both = reference(spec, recipe, tmp_path), list(batches(spec))
    for x, y, rate in both[:2]:
        known.step(x, y, rate)
    trainer.restore(known.save())
    for x, y, rate in both[2:]:
        known.step(x, y, rate)
        trainer.step(x, y, rate)
    kept, right = trainer.save(), known.save()
    compare_all(kept.tensors, right.tensors, bound=1e-5)
    compare_all(kept.average, right.average, bound=1e-5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", TRAINING)
def test_half_precision_learns_nearly_the_same(name: str, precision: Any, tmp_path: Path) -> None:
    spec = checked(NET.replace("LOSS", "cross_entropy"))
    trainer = opened(name, spec, Recipe(precision=precision), tmp_path)
    wanted = reference(spec, Recipe(), tmp_path)
    for x, y, rate in batches(spec):
        trainer.step(x, y, rate)
        wanted.step(x, y, rate)
    found, right = trainer.losses()["loss"], wanted.losses()["loss"]
    assert 1e-7 < abs(found - right) < 0.02 * right
    assert all(value.dtype == np.float32 for value in trainer.save().tensors.values())
