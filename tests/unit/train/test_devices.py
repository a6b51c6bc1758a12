"""Where a trainer computes, in which precision its updates count, and compiled or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend import load
from archspec.backend.trainer import LOSS_SCALE, TrainerConfig
from archspec.cli import main
from archspec.compiler import write_build
from archspec.conformance.compare import compare_all
from archspec.diagnostics import Failure, UsageError
from archspec.ir.recipe import Recipe
from archspec.reference.trainer import ReferenceTrainer
from archspec.weights.init import initial_tensors
from archspec.weights.weight_source import WeightSource
from tests.helpers.ranks import DEEP, RECIPES, RUN, batches
from tests.helpers.specs import TWO_HEADS, checked

BACKENDS = ["torch", "keras"]


def trainer(backend: str, folder: Path, recipe: Recipe, **plan: Any) -> Any:
    spec, found = checked(TWO_HEADS), load(backend)
    assert found.trainer is not None
    return found.trainer(
        write_build(spec, found, folder, weights=WeightSource(seed=0)),
        TrainerConfig(spec.graph, recipe, **plan),
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_float16_leaves_out_is_no_update(backend: str, tmp_path: Path) -> None:
    recipe = Recipe(optimizer="adamw", precision="float16", average="polyak")
    one, two = (trainer(backend, tmp_path / name, recipe) for name in ("one", "two"))
    x, y, rate = batches()[0]
    before = one.save()
    one.step(np.full_like(x, np.inf), y, rate)
    assert one.save().updates == 0
    assert not one.save().average
    for name, value in before.tensors.items():
        if "running" not in name:
            np.testing.assert_array_equal(one.save().tensors[name], value)
    one.restore(before)
    for trained in (one, two):
        for _ in range(3):
            trained.step(x, y, rate)
    assert one.save().updates == two.save().updates
    assert 0 < one.save().updates <= 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_after_a_step_left_out_it_goes_on_bit_for_bit(backend: str, tmp_path: Path) -> None:
    recipe = Recipe(optimizer="adamw", precision="float16")
    whole, second = (trainer(backend, tmp_path / name, recipe) for name in ("one", "two"))
    x, y, rate = batches()[0]
    for factor in (1, 1, 1e30, 1):
        whole.step(x * np.float32(factor), y, rate)
    second.restore(whole.save())
    for trained in (whole, second):
        trained.step(x, y, rate)
    one, other = whole.save(), second.save()
    assert one.updates == other.updates
    trainable = [
        name for name in one.tensors if "running" not in name
    ]  # those took the values that overflowed
    assert all((one.tensors[name] == other.tensors[name]).all() for name in trainable)
    assert all((one.slots[name] == other.slots[name]).all() for name in one.slots)


@pytest.mark.parametrize(("here", "there"), [BACKENDS, BACKENDS[::-1]])
def test_the_scale_of_float16_travels(here: str, there: str, tmp_path: Path) -> None:
    one, other = (
        trainer(name, tmp_path / name, Recipe(precision="float16")) for name in (here, there)
    )
    x, y, rate = batches()[0]
    one.step(np.full_like(x, np.inf), y, rate)
    one.restore(
        replace(one.save(), tensors=other.save().tensors)
    )  # statistics that took what overflowed
    one.step(x, y, rate)
    other.restore(one.save())
    assert (
        one.save().backend_state[LOSS_SCALE].tolist()
        == other.save().backend_state[LOSS_SCALE].tolist()
        == [2.0**15, 1]
    )
    other.step(x, y, rate)
    assert other.save().backend_state[LOSS_SCALE].tolist() == [2.0**15, 2]


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_all_may_be_frozen(backend: str, precision: Any, tmp_path: Path) -> None:
    mine = trainer(backend, tmp_path / "net", Recipe(freeze=("*",), precision=precision))
    before = mine.save()
    for x, y, rate in batches()[:1]:
        mine.step(x, y, rate)
    assert mine.losses()["loss"] > 0
    for name, value in before.tensors.items():
        np.testing.assert_array_equal(mine.save().tensors[name], value)


def test_a_device_is_chosen_by_name_and_said(tmp_path: Path) -> None:
    assert trainer("torch", tmp_path / "one", Recipe(), device="cpu").device.startswith("cpu, ")
    with pytest.raises(Failure, match="has no device `warp9`") as caught:
        trainer("torch", tmp_path / "two", Recipe(), device="warp9")
    assert caught.value.help.endswith("cpu")
    assert isinstance(caught.value, UsageError)


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RUN)
    np.savez("noise.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 3)
    assert (
        main(["train", "small.yaml", "--data", "noise.npz", "-o", "run", "--device", "cuda:77"])
        == 2
    )
    assert "error: PyTorch has no device `cuda:77` here" in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit.script:DeprecationWarning"
)  # which torch's own compiler imports
@pytest.mark.skipif(not DEEP, reason="compilers take their time")
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_it_trains_as_the_reference_does(backend: str, tmp_path: Path) -> None:
    recipe = RECIPES["adamw, clipped"]
    mine = trainer(backend, tmp_path / "net", recipe, compile=True)
    wanted = ReferenceTrainer(
        TrainerConfig(checked(TWO_HEADS).graph, recipe),
        initial_tensors(checked(TWO_HEADS).graph, 0),
    )
    for x, y, rate in batches():
        mine.step(x, y, rate)
        wanted.step(x, y, rate)
        compare_all(mine.losses(), wanted.losses(), bound=1e-5, what="losses")
    compare_all(mine.save().tensors, wanted.save().tensors, bound=1e-5)
