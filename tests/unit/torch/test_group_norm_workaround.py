"""What ends a process is kept from a model that is trained: a group norm whose input needs no derivative."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from archspec.backend import load
from archspec.backend.trainer import TrainerConfig
from archspec.compiler import write_build
from archspec.conformance.compare import compare
from archspec.equivalence.inputs import verify_inputs
from archspec.equivalence.modes import measure
from archspec.ir.recipe import Recipe
from archspec.reference import ReferenceSession
from archspec.weights.weight_source import WeightSource
from tests.helpers.specs import checked

# Channels lie last in what the first layer gives.
SPEC = checked("""archspec: 1
name: net
input: [8, 4, 6]
network: [{layer_norm: {axes: channels, affine: false}}, {name: norm, group_norm: {groups: 2}}]
""")
CRASH = """
import torch
x = torch.randn(2, 8, 4, 6).to(memory_format=torch.channels_last)
y = torch.nn.GroupNorm(2, 8)(x)
y.backward(torch.randn(2, 8, 4, 6).to(memory_format=torch.channels_last))
"""


def test_a_step_is_taken_and_is_right(tmp_path: Path) -> None:
    given = verify_inputs(SPEC.graph, 0, 2)
    session = load("torch").open(
        write_build(SPEC, load("torch"), tmp_path / "b", weights=WeightSource(seed=0)),
        SPEC.graph,
        "float64",
    )
    found = measure(session, given, "step")["tensors"]
    expected = measure(ReferenceSession(SPEC.graph, given.tensors), given, "step")["tensors"]
    for name, value in expected.items():
        compare(found[name], value, bound=1e-10, what=name)


def test_a_trainer_goes_on(tmp_path: Path) -> None:
    backend = load("torch")
    assert backend.trainer is not None
    spec = checked(SPEC_OF_PICTURES)
    trainer = backend.trainer(
        write_build(spec, backend, tmp_path / "b", weights=WeightSource(seed=0)),
        TrainerConfig(spec.graph, Recipe(freeze=("one.*",))),
    )
    trainer.step(np.ones((2, 3, 8, 8), np.float32), np.zeros(2, np.int64), 0.1)
    assert np.isfinite(trainer.losses()["loss"])


SPEC_OF_PICTURES = """archspec: 1
name: net
input: [3, 8, 8]
network:
  - {name: one, conv: {out: 8, kernel: 3}}
  - {name: norm, group_norm: {groups: 2}}
  - global_avg_pool
  - flatten
"""


@pytest.mark.skipif(sys.platform == "win32", reason="how a process ends is told otherwise there")
def test_the_guard_is_still_needed() -> None:
    """Where this fails, torch has been mended, and `guard` can go."""
    assert subprocess.run([sys.executable, "-c", CRASH], capture_output=True).returncode == -11
