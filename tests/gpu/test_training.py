"""Training on a GPU: as on the CPU, in half precision, compiled, resumed, and in a process group."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archspec.backend.trainer import TrainerConfig
from archspec.compiler import write_build
from archspec.conformance.compare import compare_all
from archspec.conformance.suite.trainer import compare_states
from archspec.conformance.training import RECIPES, batches, reference_trainer, training_net
from archspec.frontend.loader import Spec
from archspec.ir.recipe import Recipe
from archspec.weights.weight_source import WeightSource
from archspec_torch import BACKEND
from tests.helpers.torchrun import ROOT

DEVICE = "cuda"


def open_on(device: str, folder: Path, spec: Spec, recipe: Recipe, **options: Any) -> Any:
    assert BACKEND.trainer is not None
    build = write_build(spec, BACKEND, folder, weights=WeightSource(seed=0))
    return BACKEND.trainer(build, TrainerConfig(spec.graph, recipe, device=device, **options))


def follow(trainer: Any, spec: Spec) -> Any:
    """Take the steps of the reference, with its losses and tensors to compare with."""
    for batch in batches(spec):
        trainer.step(*batch)
    return trainer.losses(), trainer.save()


@pytest.mark.parametrize("name", RECIPES)
def test_it_trains_as_the_cpu_and_the_reference_do(name: str, tmp_path: Path) -> None:
    spec = training_net()
    on_gpu = open_on(DEVICE, tmp_path / "gpu", spec, RECIPES[name])
    on_cpu = open_on("cpu", tmp_path / "cpu", spec, RECIPES[name])
    assert on_gpu.device.startswith(DEVICE)
    losses, state = follow(on_gpu, spec)
    for other in (on_cpu, reference_trainer(spec, RECIPES[name])):
        expected_losses, expected = follow(other, spec)
        compare_all(losses, expected_losses, what="losses")
        compare_states(state, expected)


@pytest.mark.parametrize("recipe", ["sgd", "clipped", "in parts"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_nearly_the_same(precision: str, recipe: str, tmp_path: Path) -> None:
    spec = training_net()
    chosen = RECIPES[recipe].model_copy(update={"precision": precision})
    losses, state = follow(open_on(DEVICE, tmp_path / "net", spec, chosen), spec)
    expected_losses, expected = follow(reference_trainer(spec, RECIPES[recipe]), spec)
    difference = abs(losses["loss"] - expected_losses["loss"])
    assert 1e-7 < difference < 0.02 * expected_losses["loss"]
    compare_all(state.tensors, expected.tensors, bound=0.1, what="tensors")
    assert all(str(value.dtype) == "float32" for value in state.tensors.values())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's compiler's
@pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores")  # it is off here
@pytest.mark.filterwarnings("ignore:Not enough SMs")
def test_compiled_it_trains_as_the_reference_does(tmp_path: Path) -> None:
    spec, recipe = training_net(), RECIPES["adamw"]
    losses, state = follow(open_on(DEVICE, tmp_path / "net", spec, recipe, compile=True), spec)
    expected_losses, expected = follow(reference_trainer(spec, recipe), spec)
    compare_all(losses, expected_losses, what="losses")
    compare_all(state.tensors, expected.tensors, what="tensors")


@pytest.mark.parametrize("recipe", ["nesterov", "ema"])
def test_it_resumes_with_the_same_dropout(recipe: str, tmp_path: Path) -> None:
    spec = training_net(drop=0.5)
    both = batches(spec)
    whole = open_on(DEVICE, tmp_path / "whole", spec, RECIPES[recipe])
    for batch in both:
        whole.step(*batch)
    first = open_on(DEVICE, tmp_path / "first", spec, RECIPES[recipe])
    for batch in both[:2]:
        first.step(*batch)
    saved = first.save()
    first.step(*both[0])  # moves the generator on
    second = open_on(DEVICE, tmp_path / "second", spec, RECIPES[recipe])
    second.restore(saved)
    for batch in both[2:]:
        second.step(*batch)
    compare_all(second.save().tensors, whole.save().tensors, bound=1e-6)


@pytest.mark.parametrize("given", [{}, {"compile": True}, {"shard": "full"}], ids=str)
def test_a_process_group_over_nccl_trains_as_the_reference_does(
    given: dict[str, Any], tmp_path: Path
) -> None:
    options = ("--standalone", "--nproc-per-node=1", "-m", "tests.gpu.process")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backends")])
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *options, str(tmp_path), json.dumps(given)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths},
        check=True,
        timeout=300,
    )
    found = pickle.loads((tmp_path / "found.pickle").read_bytes())
    assert set(found) == {"sgd", "in parts", "frozen"}
    spec = training_net()
    for name, (losses, state) in found.items():
        expected_losses, expected = follow(reference_trainer(spec, RECIPES[name]), spec)
        compare_all(losses, expected_losses, what=name)
        compare_all(state.tensors, expected.tensors, what=name)
