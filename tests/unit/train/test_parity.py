"""One recipe on every backend: the same batches, bit for bit, and losses that stay together step by step.

Where a derivative jumps, at a rectifier's zero or between two equal values of a max pool, rounding decides which way, and
batch norm carries it into all layers below: no arithmetic in single precision keeps two runs together for long at the
rates that such a network learns fastest by. The rate here is lower, and the bounds are those of docs/decisions/0020.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from archspec.backend import load as load_backend
from archspec.backend.trainer import TrainerConfig
from archspec.compiler import write_build
from archspec.conformance.compare import compare_all
from archspec.ir.recipe import Recipe
from archspec.reference.trainer import ReferenceTrainer
from archspec.weights.checkpoint import load_tensors as load_weights
from tests.helpers import forked
from tests.helpers.recorder import losses, recorded
from tests.helpers.specs import checked

SLIM = """archspec: 1
name: slim
extends: googlenet-small
input: [1, 16, 16]
blocks:
  auxiliary: {body: [global_avg_pool, flatten, {name: fc, linear: {out: 32}}, relu, {name: classifier, linear: {out: $classes}}]}
network:
  table:
    columns: [name, type, patch/stride, "#1x1", "#3x3 reduce", "#3x3", "#5x5 reduce", "#5x5", pool proj, out, aux]
    rows:
      - [conv1, convolution, 3x3/1,    ~,  ~,  ~, ~,  ~,  ~, 16,    ~]
      - [pool1, max pool,    3x3/2,    ~,  ~,  ~, ~,  ~,  ~,  ~,    ~]
      - [inception_3a, inception, ~,  16, 24, 32, 4,  8,  8,  ~, aux1]
      - [pool3, max pool,    3x3/2,    ~,  ~,  ~, ~,  ~,  ~,  ~,    ~]
      - [inception_4a, inception, ~,  48, 24, 52, 4, 12, 16,  ~, aux2]
      - [inception_4b, inception, ~,  48, 24, 52, 4, 12, 16,  ~,    ~]
      - global_avg_pool
      - {name: dropout, dropout: {rate: $dropout}}
      - [linear, classifier, ~,        ~,  ~,  ~, ~,  ~,  ~,  ~,    ~]
preprocess: {resize: 16x16}
"""
CASES = {  # the data, a recipe of 50 steps, and the heads
    "lenet5": (
        "digits",
        ["batch=29", "epochs=1", "learning_rate=0.05", "momentum=0.9", "augment.shift=2"],
        ["preprocess.invert=false"],
        {"main"},
    ),
    "slim": (
        "mnist",
        ["batch=80", "epochs=1", "learning_rate=0.005", "schedule.warmup=0"],
        ["dropout=0"],
        {"main", "aux1", "aux2"},
    ),
}
DEEP = os.environ.get("ARCHSPEC_PROFILE") == "deep"


def followed(backend: str, case: str, folder: Path) -> tuple[list[str], list[dict[str, float]]]:
    """What the trainer of a run was given, step by step, and the losses that it told."""
    data, recipe, more, _ = CASES[case]
    path = folder / "slim.yaml"
    path.write_text(SLIM)
    sets = [*more, *(f"train.{value}" for value in recipe)]
    run = folder / f"{case}-{backend}"
    found = recorded(backend, str(path) if case == "slim" else case, data, run, sets)
    return found.batches, losses(run)


def followed_on_jax(case: str, folder: Path) -> tuple[list[str], list[dict[str, float]]]:
    """The same in a process of its own, since Keras has one engine in each."""
    code = "import json, pathlib, sys; from tests.unit.train.test_parity import followed\n"
    code += "print(json.dumps(followed('keras', sys.argv[1], pathlib.Path(sys.argv[2]))))"
    env = os.environ | {"KERAS_BACKEND": "jax"}
    given = [sys.executable, "-c", code, case, str(folder)]
    done = forked.run(given, env=env, capture_output=True, text=True, check=True)
    batches, found = json.loads(done.stdout.splitlines()[-1])
    return batches, found


def assert_together(
    one: list[dict[str, float]], other: list[dict[str, float]], heads: set[str]
) -> None:
    """The losses of 50 steps and of every head: the first 5 within 1e-5, all within 1e-3."""
    assert len(one) == len(other) == 50
    for step, (a, b) in enumerate(zip(one, other, strict=True), start=1):
        assert set(a) == set(b) == heads | {"loss"}
        for name, value in a.items():
            apart = abs(b[name] - value) / abs(value)
            assert apart <= (1e-5 if step <= 5 else 1e-3), (
                f"{name} of step {step}: {value} and {b[name]}, {apart:.1e}"
            )


@pytest.mark.parametrize("case", CASES)
def test_the_same_batches_give_the_same_losses(case: str, tmp_path: Path) -> None:
    batches, known = followed("torch", case, tmp_path)
    others = {"tensorflow": followed("keras", case, tmp_path)}
    if DEEP:
        (tmp_path / "jax").mkdir()
        others["jax"] = followed_on_jax(case, tmp_path / "jax")
    assert len(set(batches)) == 50
    for engine, (given, found) in others.items():
        assert given == batches, engine
        assert_together(known, found, CASES[case][3])
    assert known[-1]["loss"] < known[0]["loss"]


@pytest.mark.parametrize(
    ("step", "apart", "fine"),
    [(4, 5e-6, True), (4, 2e-5, False), (5, 2e-5, True), (49, 2e-3, False)],
)
def test_losses_that_part_are_seen(step: int, apart: float, fine: bool) -> None:
    one = [{"main": 2.0, "loss": 2.0} for _ in range(50)]
    other = [dict(found) for found in one]
    other[step]["main"] *= 1 + apart
    if fine:
        assert_together(one, other, {"main"})
    else:
        with pytest.raises(AssertionError, match=f"main of step {step + 1}"):
            assert_together(one, other, {"main"})


NORMED = """archspec: 1
name: normed
input: [3, 64, 64]
network:
  - {name: conv, conv: {out: 4, kernel: 3, bias: false}}
  - {name: norm, batch_norm: }
  - tanh
  - global_avg_pool
  - flatten
"""


@pytest.mark.parametrize(("backend", "bound"), [("torch", 1e-6), ("keras", 1e-5)])
def test_batch_norm_over_many_values_is_exact(backend: str, bound: float, tmp_path: Path) -> None:
    """246,016 a channel, far from zero; PyTorch on CPUs adds them up one by one where channels lie last."""
    spec, engine = checked(NORMED), load_backend(backend)
    build, plan = write_build(spec, engine, tmp_path / "build"), TrainerConfig(spec.graph, Recipe())
    assert engine.trainer is not None
    trainer = engine.trainer(build, plan)
    wanted = ReferenceTrainer(plan, load_weights(build / "weights.safetensors", spec.graph))
    rng = np.random.default_rng(0)
    x, y = 3 + rng.standard_normal((64, 3, 64, 64)).astype(np.float32), rng.integers(0, 4, 64)
    for each in (trainer, wanted):
        each.step(x, y, 0.1)
    found, right = (
        {name: value for name, value in each.save().tensors.items() if "running" in name}
        for each in (trainer, wanted)
    )
    compare_all(found, right, bound=bound)
