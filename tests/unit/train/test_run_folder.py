"""What a run leaves: the command that repeats it, its best weights, its classes' names, its curves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.backend import load as load_backend
from archspec.cli import main
from archspec.compiler import load as load_spec
from archspec.train.checkpoint import checkpoint_path, read_checkpoint
from archspec.train.display import Display
from archspec.train.log import read_metrics
from archspec.train.run_folder import shell_command
from archspec.weights.checkpoint import load_tensors as load_weights

SPEC = """archspec: 1
name: small
input: [1, 8, 8]
network: [{name: conv, conv: {out: 4, kernel: 3}}, relu, global_avg_pool, flatten, {name: fc, linear: {out: 3}}]
heads: {main: {loss: cross_entropy}}
preprocess: {channels: gray, scale: 0.00392156862745098, crop: none}
train: {learning_rate: 3, epochs: 4, batch: 8, momentum: 0.9, average: ema, ema_decay: 0.5}
"""
LABELS = "labels: [dark, grey, bright]\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose name a shell would part, with a spec and folders of images."""
    folder = tmp_path / "my runs"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    for at, name in enumerate(("coal", "slate", "snow")):
        Path("photos", name).mkdir(parents=True)
        for number in range(20):
            image_file = (rng.uniform(0, 120, (8, 8)) + 60 * at).astype(np.uint8)
            Image.fromarray(image_file).save(f"photos/{name}/{number}.png")
    return folder


def trained(*more: str) -> None:
    assert main(["train", "small.yaml", "--data", "photos", "-o", "run", "--quiet", *more]) == 0


def named(capsys: pytest.CaptureFixture[str], *more: str) -> set[str]:
    capsys.readouterr()
    assert main(["run", "run", "photos/snow/0.png", "--format", "json", "--quiet", *more]) == 0
    (found,) = json.loads(capsys.readouterr().out).values()
    return {one["label"] for one in found}


def test_classes_are_called_as_the_data_call_them_unless_the_spec_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained()
    assert named(capsys) == {"coal", "slate", "snow"}
    Path("names.txt").write_text("a\nb\nc\n")
    assert named(capsys, "--labels", "names.txt") == {"a", "b", "c"}
    Path("small.yaml").write_text(SPEC + LABELS)
    trained("--resume")
    assert named(capsys) == {"dark", "grey", "bright"}


def test_labels_are_no_names_of_other_classes(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "small.yaml", "--data", "photos", "-o", "run", "--quiet"]
    Path("small.yaml").write_text(SPEC + "labels: [coal, snow, slate]\n")
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert (
        "the `labels` of `small` name the classes of `photos` in another order: class 1 is `slate`, not `snow`"
        in error
    )
    assert "`archspec run` then uses the data's names" in error
    assert not Path("run").exists()
    for labels in ("[slate, ash, snow]", "[coal, snow, ash]", "[Slate, b, c]", "[a, b, slate]"):
        Path("small.yaml").write_text(SPEC + f"labels: {labels}\n")
        assert main(arguments) == 1, labels
        assert "in another order: class" in capsys.readouterr().err
    for labels in ("[coal, slate, snow]", "[a, b, snow]", "[Coal, slate, snow]", "[coal, coal, z]"):
        Path("small.yaml").write_text(SPEC + f"labels: {labels}\n")
        shutil.rmtree("run", ignore_errors=True)
        assert main(arguments) == 0


def test_numbers_of_classes_are_no_names(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("noise.npz", x=np.zeros((60, 8, 8), np.uint8), y=np.arange(60) % 3)
    for labels, code in (("['1', '2', '3']", 0), ("['1', '0', '2']", 1)):
        Path("small.yaml").write_text(SPEC + f"labels: {labels}\n")
        assert main(["train", "small.yaml", "--data", "noise.npz", "-o", "n", "--quiet"]) == code


def test_one_class_has_nothing_to_be_told_from(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.yaml").write_text(SPEC.replace("out: 3", "out: 1"))
    np.savez("snow.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.zeros(20, int))
    binary = ["--set", "heads.main.loss=binary_cross_entropy"]
    for sets in ([], binary):
        assert main(["train", "small.yaml", "--data", "snow.npz", "-o", "n", "--quiet", *sets]) == 1
        assert "has one class, `0`" in capsys.readouterr().err


def test_the_best_weights_are_the_average_after_the_best_epoch() -> None:
    trained("--keep", "1")
    lines = [line for line in read_metrics(Path("run")) if line["kind"] == "validation"]
    step = max(lines, key=lambda line: line["top1"])["step"]
    assert step < lines[-1]["step"], "another seed is needed for this test"
    spec = load_spec("run/spec.yaml")
    best = load_weights(Path("run/best.safetensors"), spec.graph)
    standing, _ = read_checkpoint(checkpoint_path(Path("run"), step), spec.graph)
    assert all((best[name] == value).all() for name, value in standing.average.items())
    assert any((best[name] != value).any() for name, value in standing.tensors.items())
    arguments = [
        "run/spec.yaml",
        "--backend",
        "keras",
        "--weights",
        "run/best.safetensors",
        "-o",
        "built",
        "--quiet",
    ]
    assert main(["build", *arguments]) == 0
    built = load_weights(Path("built/weights.safetensors"), spec.graph)
    assert all((built[name] == value).all() for name, value in best.items())


def test_a_run_says_all_that_it_was_made_with() -> None:
    trained()
    facts = json.loads(Path("run/run.json").read_text())
    assert {"archspec", "python", "numpy", "pillow", "torch"} <= {*facts["versions"]}
    assert facts["platform"]
    assert facts["recipe"]["learning_rate"] == 3
    assert {"run.json", "spec.yaml", "metrics.csv", "curves.svg"} <= {
        path.name for path in Path("run").iterdir()
    }


def test_a_run_that_is_stopped_has_curves_and_a_best_epoch_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch = Display.__call__

    def interrupt(self: Display, event: Any) -> None:
        if (event["kind"], event.get("step")) == ("step", 9):  # of 6 an epoch
            os.kill(os.getpid(), signal.SIGINT)
        watch(self, event)

    monkeypatch.setattr(Display, "__call__", interrupt)
    assert main(["train", "small.yaml", "--data", "photos", "-o", "run", "--quiet"]) == 130
    assert json.loads(Path("run/run.json").read_text())["trained"] < 24
    assert "after epoch 1" in Path("run/curves.svg").read_text()
    assert Path("run/best.safetensors").exists()


def test_the_command_of_a_run_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [
        "train",
        "small.yaml",
        "--data",
        "photos",
        "-o",
        "run",
        "--quiet",
        "--set",
        "train.epochs=1",
    ]
    monkeypatch.setattr(sys, "argv", ["archspec", *words])
    assert main(words) == 0
    (command,) = json.loads(Path("run/run.json").read_text())["commands"]
    weights = Path("run/weights.safetensors").read_bytes()
    Path("run").rename("before")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        shell=True,
        cwd="/",
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path("run/weights.safetensors").read_bytes() == weights


def test_a_command_says_which_engine_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    cwd = f"cd '{Path.cwd()}'"
    assert (
        shell_command(load_backend("keras"), ["archspec", "a b"])
        == f"{cwd} && KERAS_BACKEND=jax archspec 'a b'"
    )
    assert shell_command(load_backend("torch"), ["archspec"]) == f"{cwd} && archspec"
