"""A run that is killed at random moments and resumed each time ends with the weights of an undisturbed run."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from archspec.compiler import load as load_spec
from archspec.train.checkpoint import list_checkpoints, read_checkpoint
from archspec.train.log import read_metrics
from tests.helpers import forked

SPEC = """archspec: 1
name: small
input: [1, 8, 8]
network:
  - {name: conv, conv: {out: 8, kernel: 3, bias: false}}
  - batch_norm
  - relu
  - flatten
  - {dropout: {rate: 0.3}}
  - {name: fc, linear: {out: 3}}
preprocess: {channels: gray, crop: none}
train:
  learning_rate: 0.05
  epochs: 60
  batch: 16
  optimizer: adamw
  average: ema
  augment: {shift: 2, flip: true}
"""
KILLS = 2 if settings().max_examples <= 100 else 20


def command(backend: str, folder: Path) -> list[str]:
    given = [
        "train",
        "small.yaml",
        "--data",
        "noise.npz",
        "--backend",
        backend,
        "-o",
        str(folder),
        "--resume",
    ]
    return [
        sys.executable,
        "-m",
        "archspec",
        *given,
        "--save-every",
        "2",
        "--log-every",
        "3",
        "--quiet",
    ]


def position(folder: Path) -> int:
    return max((line["step"] for line in read_metrics(folder)), default=0)


def killed(backend: str, folder: Path, here: Path, rng: random.Random) -> bool:
    """Resume a run and kill it some steps later; return whether it ended before."""
    goal = position(folder) + rng.randint(1, 8)
    process = forked.Popen(command(backend, folder), cwd=here, stdout=subprocess.DEVNULL)
    while process.poll() is None and position(folder) < goal:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.02))
    process.kill()
    return process.wait() == 0


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_killed_and_gone_on_with_it_ends_with_the_same_weights(
    backend: str, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "noise.npz",
        x=rng.integers(0, 256, (60, 8, 8)).astype(np.uint8),
        y=rng.integers(0, 3, 60),
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    chance, times = random.Random(backend), 0
    while times < KILLS and not killed(backend, broken, tmp_path, chance):
        times += 1
    assert times == KILLS, "it ended before it could be killed that often"
    for folder in (whole, broken):
        forked.run(command(backend, folder), cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    graph = load_spec(tmp_path / "small.yaml").graph
    (one, place), (other, same) = (
        read_checkpoint(list_checkpoints(folder)[-1], graph) for folder in (whole, broken)
    )
    assert place.step == same.step == 180
    for part in ("tensors", "slots", "average"):
        values, found = getattr(one, part), getattr(other, part)
        assert values.keys() == found.keys()
        assert all((values[name] == found[name]).all() for name in values), part
    assert (whole / "weights.safetensors").read_bytes() == (
        broken / "weights.safetensors"
    ).read_bytes()
    steps = [
        [line["step"] for line in read_metrics(folder) if line["kind"] == "validation"]
        for folder in (whole, broken)
    ]
    assert steps[0] == steps[1]
    assert not list(broken.rglob(".*"))
