"""A run under torchrun restarts when a process is killed, and Ctrl-C ends it in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.cli import main
from archspec.compiler import load
from archspec.conformance.compare import compare_all
from archspec.train.checkpoint import list_checkpoints, read_checkpoint
from archspec.train.log import read_metrics
from tests.helpers.markdown import blocks, write
from tests.helpers.ranks import DEEP, RUN
from tests.helpers.torchrun import ENVIRONMENT, ROOT, started, torchrun

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it finds processes in /proc")
GIVEN = [
    "train",
    "small.yaml",
    "--data",
    "noise.npz",
    "--save-every",
    "2",
    "--log-every",
    "2",
    "--quiet",
]


def position(folder: Path) -> int:
    return max((line["step"] for line in read_metrics(folder)), default=0)


def wait_for(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 100
    while position(folder) < step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"it stays at step {position(folder)}"
        time.sleep(0.005)


def worker(launcher: int, rank: int) -> int:
    """The id of a process that torchrun started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    (found,) = [
        pid
        for pid in children
        if f"\0RANK={rank}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    ]
    return int(found)


@pytest.mark.long
def test_killed_it_restarts_and_interrupted_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RUN.replace("epochs: 2", "epochs: 200"))
    rng = np.random.default_rng(0)
    np.savez(
        "noise.npz", x=rng.integers(0, 256, (41, 8, 8)).astype(np.uint8), y=rng.integers(0, 3, 41)
    )
    command = torchrun(2, ["archspec", *GIVEN, "-o", "broken", "--resume"], "--max-restarts=3")
    process = started(command, tmp_path)
    wait_for(Path("broken"), 4, process)
    os.kill(worker(process.pid, 1), signal.SIGKILL)
    reached = position(Path("broken"))
    wait_for(Path("broken"), reached + 6, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "archspec itself" not in said
    stopped = position(Path("broken"))
    assert reached < stopped < 800
    assert list_checkpoints(Path("broken"))[-1].name == f"step-{stopped:08d}.safetensors"
    end = stopped // 4 + 3
    for folder in (
        "broken",
        "whole",
    ):  # and ends in one process with the weights of a run that was left alone
        assert main([*GIVEN, "-o", folder, "--set", f"train.epochs={end}", "--resume"]) == 0
    spec = load("small.yaml")
    one, other = (
        read_checkpoint(list_checkpoints(Path(name))[-1], spec.graph)
        for name in ("broken", "whole")
    )
    assert one[1].step == other[1].step == 4 * end
    compare_all(one[0].tensors, other[0].tensors, bound=1e-3)
    assert validation("broken") == validation("whole") == [4 * (epoch + 1) for epoch in range(end)]


@pytest.mark.skipif(not DEEP, reason="it starts as many processes once more")
def test_the_script_for_slurm_runs(tmp_path: Path) -> None:
    """With stand-ins for Slurm's own commands: one machine, and two processes on it."""
    page = "train-on-many-devices.md"
    written = [
        one
        for one in blocks((ROOT / "docs" / "how-to" / page).read_text(), page)
        if one.all("file")
    ]
    script = [write(block, tmp_path) for block in written][-1]
    for name, body in (("srun", 'exec "${@/gpu/2}"'), ("scontrol", "echo localhost")):
        stand_in = tmp_path / name
        stand_in.write_text(f"#!/bin/bash\n{body}\n")
        stand_in.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = {
        "PATH": path,
        "SLURM_NNODES": "1",
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_JOB_ID": "7",
    }
    done = subprocess.run(
        ["bash", "-eu", script],
        cwd=tmp_path,
        env=ENVIRONMENT | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "runs/slurm: small, trained for 23 steps" in done.stdout, done.stderr


def validation(folder: str) -> list[Any]:
    return [line["step"] for line in read_metrics(Path(folder)) if line["kind"] == "validation"]
