"""What is held out is fixed: no seed, no resuming, no backend and no process moves it, and it is never trained on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from archspec.train.data import open_data
from archspec.train.data.source import samples
from tests.helpers.recorder import recorded

SPEC = """archspec: 1
name: small
input: [1, 4, 4]
network: [flatten, {name: fc, linear: {out: 3}}]
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.01, epochs: 2, batch: 16}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a spec, and pictures of noise, no two of them alike."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    np.savez("noise.npz", x=rng.integers(0, 256, (90, 4, 4)).astype(np.uint8), y=np.arange(90) % 3)


def parts(folder: str, backend: str = "torch", *sets: str, resume: bool = False) -> tuple[set[str], set[str]]:
    """What the trainer of a run was given to train on, and to predict."""
    found = recorded(backend, "small.yaml", "noise.npz", Path(folder), sets, resume=resume)
    return set(found.trained), set(found.scored)


def test_all_is_trained_on_or_held_out_and_nothing_both() -> None:
    trained, scored = parts("run")
    assert trained.isdisjoint(scored)
    assert len(trained | scored) == 90
    assert len(scored) == 18


def test_it_is_the_same_whatever_the_seed_the_backend_and_where_a_run_was_gone_on_with() -> None:
    known = parts("run")
    assert parts("seeded", "torch", "train.seed=1") == known
    assert parts("other", "keras") == known
    assert parts("run", "keras", "train.epochs=4", resume=True) == known


def test_it_is_the_same_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
from archspec.train.data import open_data
from archspec.train.data.source import samples
print([sample.name for name in ("noise.npz", "digits") for sample in samples(open_data(name).held_out)])
"""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [sample.name for name in ("noise.npz", "digits") for sample in samples(open_data(name).held_out)]
    assert done.stdout.strip() == str(here)
