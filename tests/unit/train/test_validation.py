"""The validation part is fixed: no seed, no resuming, no backend and no process moves it, and it is never trained on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from archspec.train.data import open_data, pack
from archspec.train.data.source import iter_samples
from archspec.train.run_folder import data_location
from archspec.train.sample_record import describe_samples
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
    """A folder with a spec, and images of noise, no two of them alike."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    np.savez("noise.npz", x=rng.integers(0, 256, (90, 4, 4)).astype(np.uint8), y=np.arange(90) % 3)


def parts(
    folder: str, backend: str = "torch", *sets: str, resume: bool = False
) -> tuple[set[str], set[str]]:
    """What the trainer of a run was given to train on, and to predict."""
    found = recorded(backend, "small.yaml", "noise.npz", Path(folder), sets, resume=resume)
    return set(found.trained), set(found.scored)


def test_every_sample_is_in_one_of_the_two_parts() -> None:
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
from archspec.train.data.source import iter_samples
data = [open_data(name) for name in ("noise.npz", "digits")]
print([sample.name for part in data for sample in iter_samples(part.validation)])
"""
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [
        sample.name
        for name in ("noise.npz", "digits")
        for sample in iter_samples(open_data(name).validation)
    ]
    assert done.stdout.strip() == str(here)


def saved(name: str, x: Any, y: Any) -> str:
    np.savez(name, x=x, y=y)
    return name


def test_other_values_and_other_labels_are_other_samples(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with np.load("noise.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    own = describe_samples(open_data("noise.npz"))
    assert describe_samples(open_data(saved("same.npz", x, y))) == own
    inverted, turned = saved("inverted.npz", 255 - x, y), saved("turned.npz", x, (y + 1) % 3)
    for name in (inverted, turned, saved("wide.npz", x.reshape(90, 2, 8), y)):
        assert describe_samples(open_data(name)) | {"digest": ""} == own | {"digest": ""}
        assert describe_samples(open_data(name)) != own
    parts("run")
    again = ["small.yaml", "-o", "run", "--resume", "--quiet", "--data"]
    assert [main(["train", *again, name]) for name in ("same.npz", inverted, turned)] == [0, 1, 1]
    assert "have changed since `run` was trained: changed: `x[" in capsys.readouterr().err


def test_of_files_the_names_and_the_sizes_say_which_samples_they_are(tmp_path: Path) -> None:
    for number in range(8):
        path = Path("images", "ab"[number % 2], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    own = describe_samples(open_data("images"))
    pack("images", Path("packed"))
    assert describe_samples(open_data("packed")) == own
    first = Path("images/a/0.png")
    first.write_bytes(first.read_bytes() + b"more")
    assert describe_samples(open_data("images")) != own
    first.unlink()
    first.symlink_to("nowhere")  # which training tells of, or leaves out
    assert describe_samples(open_data("images")) != own


def test_a_packaged_set_is_taken_even_beside_a_folder_of_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("digits").mkdir()
    assert data_location("digits") == "digits"
    assert data_location("./digits") == str(Path.cwd() / "digits")
    Path("small.yaml").write_text(SPEC.replace("4, 4", "8, 8").replace("out: 3", "out: 10"))
    assert (
        main(["train", "small.yaml", "--data", "digits", "-o", "run", "--set", "train.epochs=1"])
        == 0
    )
    remark = (
        "`digits` is the built-in set that comes with scikit-learn; `./digits` is what lies here"
    )
    assert remark in capsys.readouterr().err
    assert main(["eval", "run"]) == 0
    assert remark not in capsys.readouterr().err
    np.savez("two.npz", x=np.zeros((4, 4, 4), np.uint8), y=np.arange(4) % 2)
    Path("small.yaml").write_text(SPEC.replace("out: 3", "out: 2"))
    assert (
        main(
            [
                "train",
                "small.yaml",
                "--data",
                "two.npz",
                "-o",
                "two",
                "--set",
                "train.batch=2",
                "--quiet",
            ]
        )
        == 0
    )
    assert (
        main(["eval", "two", "--data", "digits"]) == 1
    )  # it has other classes, which the remark explains
    assert remark in capsys.readouterr().err
