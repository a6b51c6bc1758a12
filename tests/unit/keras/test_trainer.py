"""What is Keras's own in its trainer: its engines, what is compiled, its random numbers, the scale of its losses."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from archspec.backend import load
from archspec.backend.trainer import LOSS_SCALE, TrainState
from archspec.conformance.plugin import SUITE
from archspec.conformance.training import batches, open_trainer, training_net
from archspec.frontend.loader import Spec
from archspec.ir.recipe import Recipe
from archspec_keras.trainer import KerasTrainer
from tests.helpers import forked
from tests.helpers.ranks import DEEP, RUN

FEW = (
    "(is_defined and (parts or ema)) or (bit_for_bit and ema) or (half and float16 and clipped)"
    " or exact or (sums and bfloat16)"
)
"""Of the suite's tests of a trainer: JAX compiles each step anew, which takes minutes for all of them."""


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_other_engines_train_as_is_defined_too(engine: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"]
    command += ["--archspec-backend=keras", str(SUITE / "trainer.py")]
    if engine == "jax" and not DEEP:
        command += ["-k", FEW]
    environment = {**os.environ, "KERAS_BACKEND": engine}
    done = forked.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def trainer(spec: Spec, recipe: Recipe, folder: Path) -> KerasTrainer:
    found = open_trainer(load("keras"), folder, spec, recipe)
    assert isinstance(found, KerasTrainer)
    return found


def losses(trainer: KerasTrainer, spec: Spec, rate: float = 0.0) -> list[float]:
    """Of steps on one batch."""
    x, y, _ = batches(spec)[0]
    found: list[float] = []
    for _ in range(3):
        trainer.step(x, y, rate)
        found.append(trainer.losses()["main"])
    return found


def test_masks_come_from_the_seed_of_the_recipe_alone(tmp_path: Path) -> None:
    spec = training_net(drop=0.5)
    first, again, other = (
        losses(trainer(spec, Recipe(seed=seed), tmp_path), spec) for seed in (1, 1, 2)
    )
    assert first == again
    assert len({*first, *other}) == 6


def test_after_another_backend_masks_are_others_than_at_the_start(tmp_path: Path) -> None:
    spec = training_net(drop=0.5)
    one = trainer(spec, Recipe(), tmp_path)
    first, other = (
        losses(one, spec),
        open_trainer(load("torch"), tmp_path / "other", spec, Recipe()),
    )
    other.restore(one.save())
    one.restore(other.save())
    assert len({*first, *losses(one, spec)}) == 6


def test_a_moving_rate_compiles_nothing_anew_and_another_size_of_batch_does(tmp_path: Path) -> None:
    spec = training_net()
    one = trainer(spec, Recipe(optimizer="adamw"), tmp_path)
    traced: list[Any] = []
    update_function = one.train_step.update_function

    def noted(*given: Any) -> Any:
        traced.append(given)
        return update_function(*given)

    one.train_step.update_function = noted
    sizes: list[int] = []
    for count in (8, 8, 8, 5, 5, 8):
        for x, y, rate in batches(spec):
            one.step(x[:count], y[:count], rate)
        sizes.append(len(traced) // len(one.param_groups))
    assert sizes == [1, 1, 1, 2, 2, 2]


def test_a_step_that_overflows_is_left_out_and_halves_the_scale(tmp_path: Path) -> None:
    spec = training_net()
    one = trainer(spec, Recipe(precision="float16", momentum=0.9), tmp_path)
    losses(one, spec, rate=0.1)
    before = one.save()
    one.restore(
        TrainState(
            before.tensors, before.slots, {}, before.updates, {LOSS_SCALE: np.array([2.0**60, 7])}
        )
    )
    losses(one, spec, rate=0.1)
    after = one.save()
    assert after.backend_state[LOSS_SCALE].tolist() == [2.0**57, 0]
    assert all((after.tensors[name] == before.tensors[name]).all() for name in one.param_groups)
    assert all((after.slots[name] == value).all() for name, value in before.slots.items())


def test_the_scale_grows_after_so_many_steps_without_overflow(tmp_path: Path) -> None:
    spec = training_net()
    one = trainer(spec, Recipe(precision="float16"), tmp_path)
    assert one.save().backend_state[LOSS_SCALE].tolist() == [2.0**16, 0]
    one.restore(TrainState(one.save().tensors, backend_state={LOSS_SCALE: np.array([8.0, 1998])}))
    losses(one, spec, rate=0.1)
    assert one.save().backend_state[LOSS_SCALE].tolist() == [16.0, 1]


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_what_others_build_afterwards_is_not_in_half_precision(
    precision: str, tmp_path: Path
) -> None:
    before = keras.config.dtype_policy()
    trainer(training_net(), Recipe.model_validate({"precision": precision}), tmp_path)
    assert keras.config.dtype_policy() == before
    assert keras.layers.Dense(1).compute_dtype == "float32"


def test_where_all_weights_are_frozen_the_statistics_move_alone(tmp_path: Path) -> None:
    spec = training_net()
    one = trainer(
        spec, Recipe(freeze=("*.weight", "*.bias"), clip_norm=1.0, precision="float16"), tmp_path
    )
    before, _ = one.save(), losses(one, spec, rate=0.1)
    after = one.save().tensors
    assert {name for name, value in before.tensors.items() if (value != after[name]).any()} == {
        "bn.running_mean",
        "bn.running_var",
    }


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("numpy", "Keras on numpy takes no derivatives"),
        ("jaxx", "Keras does not start: Unable to import backend"),
    ],
)
def test_another_engine_is_refused_and_those_that_train_are_listed(
    engine: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(RUN)
    np.savez(tmp_path / "noise.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 3)
    command = [
        sys.executable,
        "-m",
        "archspec",
        "train",
        "small.yaml",
        "--data",
        "noise.npz",
        "-o",
        "run",
    ]
    environment = {**os.environ, "KERAS_BACKEND": engine}
    done = forked.run(
        [*command, "--backend", "keras"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "help: KERAS_BACKEND takes tensorflow, jax, torch\n" in done.stderr
    assert not (tmp_path / "run").exists()
