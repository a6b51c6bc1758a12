"""Networks learn: enough in seconds to see it, and with `ARCHSPEC_PROFILE=deep` to the scores that the docs promise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archspec.cli import main
from archspec.train.log import read_metrics
from tests.helpers.markdown import blocks

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "train-to-a-score.md"
BACKENDS = ["torch", "keras"]


def final_top1(run: Path) -> float:
    """Of the last epoch, on the validation part."""
    return [line["top1"] for line in read_metrics(run) if line["kind"] == "validation"][-1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_epochs_are_far_above_chance(backend: str, tmp_path: Path) -> None:
    recipe = ["learning_rate=0.05", "momentum=0.9", "batch=32", "epochs=2"]
    sets = [word for value in recipe for word in ("--set", f"train.{value}")]
    run = tmp_path / "run"
    given = [
        "train",
        "lenet5",
        "--data",
        "digits",
        "--backend",
        backend,
        "-o",
        str(run),
        "--quiet",
        *sets,
    ]
    assert main([*given, "--set", "preprocess.invert=false"]) == 0
    assert final_top1(run) > 0.85


@pytest.mark.skipif(
    os.environ.get("ARCHSPEC_PROFILE") != "deep", reason="takes minutes: ARCHSPEC_PROFILE=deep"
)
def test_the_commands_of_the_docs_reach_their_scores(tmp_path: Path) -> None:
    commands = "".join(
        block.body for block in blocks(PAGE.read_text(), PAGE.name) if block.language == "bash"
    )
    scripts = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, env=env, check=True)
    runs = tmp_path / "runs"
    reached = {run.name: final_top1(run) for run in sorted(runs.iterdir())}
    print(reached)
    assert reached.keys() == {
        "digits",
        "digits-keras",
        "mnist",
        "mnist-keras",
        "mnist-1",
        "mnist-2",
    }
    for name, top1 in reached.items():
        assert top1 >= (0.98 if name.startswith("digits") else 0.97), reached
    members = [str(runs / name) for name in ("mnist", "mnist-1", "mnist-2")]
    found = scores(members)
    assert found["ensemble"]["top1"] >= max(found["runs"][name]["top1"] for name in members), found


def scores(runs: list[str]) -> dict[str, Any]:
    given = [sys.executable, "-m", "archspec", "eval", *runs, "--format", "json"]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)[0]
