"""Keras: a batch shared out over JAX's devices makes the updates of one device; what has no way is refused."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend import load
from archspec.backend.trainer import TrainerConfig
from archspec.cli import main
from archspec.compiler import write_build
from archspec.conformance.compare import compare_all
from archspec.diagnostics import Failure
from archspec.ir.recipe import Recipe
from archspec.reference.trainer import ReferenceTrainer
from archspec.train.distributed import join_group
from archspec.weights.init import initial_tensors
from tests.helpers import forked
from tests.helpers.devices import MANY, SOME
from tests.helpers.ranks import RECIPES, RUN, batches
from tests.helpers.specs import TWO_HEADS, checked

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each recipe on two devices."""
    out = tmp_path_factory.mktemp("devices") / "found"
    more = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    command = [sys.executable, "-m", "tests.helpers.devices", str(out)]
    forked.run(command, env=os.environ | more | {"PYTHONPATH": str(ROOT)}, check=True)
    return pickle.loads(out.read_bytes())


@pytest.mark.parametrize("name", SOME)
def test_two_devices_of_jax_make_the_updates_of_the_reference(
    name: str, found: dict[str, Any]
) -> None:
    spec, own = checked(TWO_HEADS), found[name]
    wanted = ReferenceTrainer(
        TrainerConfig(spec.graph, RECIPES[name]), initial_tensors(spec.graph, 0)
    )
    assert own["device"] == "jax, 2 x cpu"
    assert own["shards"] == [[4, 4], [7, 7], [3, 3], [1, 1], [5, 5]][:MANY]
    for (x, y, rate), losses in zip(batches()[:MANY], own["losses"], strict=True):
        wanted.step(x, y, rate)
        compare_all(losses, wanted.losses(), bound=1e-5, what="losses")
    compare_all(own["standing"].tensors, wanted.save().tensors, bound=1e-5)


def trainer(folder: Path, **plan: Any) -> Any:
    spec, backend = checked(TWO_HEADS), load("keras")
    assert backend.trainer is not None
    return backend.trainer(
        write_build(spec, backend, folder / "net"), TrainerConfig(spec.graph, Recipe(), **plan)
    )


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow sees as many."""
    import tensorflow as tf

    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: [tf.config.PhysicalDevice("gpu", kind)] * 2
    )  # pyright: ignore
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: {})  # pyright: ignore


@pytest.mark.usefixtures("two_gpus")
def test_tensorflow_is_not_let_take_one_gpu_of_several(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="Keras on TensorFlow trains on one GPU, and there are 2"):
        trainer(tmp_path)


def test_what_one_gpu_has_learnt_is_scored_on_one_of_several(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.yaml").write_text(RUN)
    np.savez(tmp_path / "noise.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 3)
    spec, data, run = (str(tmp_path / name) for name in ("small.yaml", "noise.npz", "run"))
    assert main(["train", spec, "--data", data, "--backend", "keras", "-o", run, "--quiet"]) == 0
    request.getfixturevalue("two_gpus")
    assert main(["eval", run]) == 0, capsys.readouterr().err


def test_a_device_is_not_for_keras(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="`--device` is for the backend torch"):
        trainer(tmp_path, device="cpu")


@pytest.mark.parametrize(("rank", "ending"), [("0", Failure), ("1", SystemExit)])
def test_processes_are_not_for_keras(
    rank: str, ending: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", rank)
    with pytest.raises(ending), join_group(load("keras")):
        pass
