"""Runs from the command line: what they leave, how they go on, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import archspec
from archspec.build_folder import read_model_manifest
from archspec.cli import main
from archspec.compiler import load as load_spec
from archspec.train.checkpoint import list_checkpoints, read_checkpoint
from archspec.train.log import read_metrics
from archspec.weights.checkpoint import load_tensors as load_weights

SPEC = """archspec: 1
name: small
input: [1, 8, 8]
args: {classes: 3}
network:
  - {name: conv, conv: {out: 4, kernel: 3}}
  - relu
  - global_avg_pool
  - flatten
  - {name: fc, linear: {out: $classes}}
heads: {main: {classes: $classes}}
preprocess: {channels: gray, scale: 0.00392156862745098, crop: none}
train: {learning_rate: 0.5, epochs: 3, batch: 16, momentum: 0.9, average: ema, ema_decay: 0.5}
"""
BACKENDS = ["torch", "keras"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a spec, and images whose class is how bright they are."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = (rng.uniform(0, 60, (90, 8, 8)) + 90 * y[:, None, None]).astype(np.uint8)
    np.savez("bright.npz", x=x, y=y)
    return tmp_path


def trained(*more: str, backend: str = "torch", folder: str = "run") -> int:
    return main(
        [
            "train",
            "small.yaml",
            "--data",
            "bright.npz",
            "--backend",
            backend,
            "-o",
            folder,
            "--quiet",
            *more,
        ]
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_learns_and_leaves_a_model_that_runs(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained("--set", "train.epochs=12", backend=backend) == 0
    assert "run: small, trained for 60 steps, best top-1" in capsys.readouterr().out
    lines = [line for line in read_metrics(Path("run")) if line["kind"] == "validation"]
    assert lines[-1]["top1"] > 0.8
    assert len(lines) == 12
    facts = json.loads(Path("run/run.json").read_text())
    assert facts["backend"] == backend
    assert facts["recipe"]["epochs"] == 12
    assert (
        load_spec("run/spec.yaml").document.train
        == load_spec("small.yaml", sets=["train.epochs=12"]).document.train
    )
    assert main(["eval", "run", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["runs"]["run"]["top1"] == pytest.approx(lines[-1]["top1"])
    assert found["runs"]["run"]["loss"] == pytest.approx(lines[-1]["loss"], rel=1e-4)
    assert np.sum(found["ensemble"]["confusion"]) == found["samples"] == 18


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_model_has_the_average_that_was_scored(backend: str) -> None:
    trained(backend=backend)
    spec = load_spec("small.yaml")
    standing, place = read_checkpoint(list_checkpoints(Path("run"))[-1], spec.graph)
    tensors = load_weights(Path("run/weights.safetensors"), spec.graph)
    assert place.step == 15
    assert all((tensors[name] == value).all() for name, value in standing.average.items())
    assert any((tensors[name] != value).any() for name, value in standing.tensors.items())


@pytest.mark.parametrize(
    ("first", "second"), [("torch", "keras"), ("keras", "torch"), ("torch", "torch")]
)
def test_a_run_goes_on_with_more_epochs_on_any_backend(first: str, second: str) -> None:
    trained("--set", "train.epochs=5", backend=first, folder="whole")
    trained(backend=first, folder="part")
    assert trained("--resume", "--set", "train.epochs=5", backend=second, folder="part") == 0
    spec = load_spec("small.yaml")
    one, other = (
        load_weights(Path(f"{name}/weights.safetensors"), spec.graph) for name in ("whole", "part")
    )
    bound = 0 if first == second else 1e-5
    for name, value in one.items():
        assert np.abs(other[name] - value).max() <= bound * np.abs(value).max(), name
    assert read_model_manifest(Path("part")).backend.name == second
    assert [
        line["step"] for line in read_metrics(Path("part")) if line["kind"] == "validation"
    ] == [
        5,
        10,
        15,
        20,
        25,
    ]


def test_a_run_that_is_done_stays_as_it_is() -> None:
    trained()
    before = {
        path: path.read_bytes()
        for path in Path("run").rglob("*")
        if path.suffix in (".safetensors", ".jsonl")
    }
    assert trained("--resume") == 0
    assert {path: path.read_bytes() for path in before} == before


def test_a_folder_that_is_there_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    assert trained() == 1
    assert "`run` already exists" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_other_data_are_refused_since_they_may_hold_the_validation_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained()
    assert trained("--resume", "--val-split", "0.5") == 1
    assert "with a validation split of 0.2; these are other samples" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--set", "train=~"], 1, "states no `learning_rate` and `epochs` and `batch`"),
        (["--set", "train.epochs=~"], 1, "--set train.epochs=..."),
        (["--set", "classes=4"], 1, "(small.yaml:10:16) has 4 outputs\n  help: --set classes=3"),
        (["--set", "train.freeze=[convv.*]"], 1, "`convv.*` matches no tensor"),
        (["--set", "train.batchh=3"], 1, "did you mean `batch`?"),
        (["--data", "brigth.npz"], 1, "there are no data `brigth.npz`"),
        (["--backend", "onnx"], 1, "the backend `onnx` cannot train"),
        (["--backend", "trch"], 2, "did you mean `torch`?"),
        (["--workers", "-1"], 2, "--workers is at least 0"),
        (["--keep", "0"], 2, "--keep is at least 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    more: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained(*more) == code
    assert message in capsys.readouterr().err
    assert not Path("run").exists()


def test_it_starts_from_weights_that_are_given() -> None:
    trained(folder="one")
    trained(
        "--weights", "one/weights.safetensors", "--set", "train.learning_rate=1e-9", folder="two"
    )
    spec = load_spec("small.yaml")
    one, two = (
        load_weights(Path(f"{name}/weights.safetensors"), spec.graph) for name in ("one", "two")
    )
    assert all(np.abs(one[name] - two[name]).max() < 1e-6 for name in one)


def test_everything_can_be_frozen() -> None:
    assert trained("--set", "train.freeze=['*']") == 0
    spec = archspec.load("small.yaml")
    found = load_weights(Path("run/weights.safetensors"), spec.graph)
    archspec.build(spec)
    assert main(["build", "small.yaml", "--backend", "torch", "-o", "fresh", "--quiet"]) == 0
    fresh = load_weights(Path("fresh/weights.safetensors"), spec.graph)
    assert all((found[name] == fresh[name]).all() for name in fresh)


def test_an_ensemble_is_scored_with_its_members(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1):
        trained("--set", f"train.seed={seed}", folder=f"run{seed}")
    capsys.readouterr()
    assert main(["eval", "run0", "run1", "--classes", "--crops", "1,10,144"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [(*row.split()[:3], row.split()[-1]) for row in rows[2:11]] == [
        (f"{models}", f"{crops}", f"{models * crops}", name)
        for crops in (1, 10, 144)
        for models, name in ((1, "run0"), (1, "run1"), (2, "ensemble"))
    ]
    assert rows[11] == "18 validation samples"
    assert len(rows) == 11 + 1 + 3 + 3


def test_crops_that_no_one_takes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "run", "--crops", "1,12"]) == 2
    assert "--crops takes 1, 10, 144, found 12" in capsys.readouterr().err


def test_runs_of_other_data_are_no_ensemble(capsys: pytest.CaptureFixture[str]) -> None:
    trained(folder="one")
    trained("--val-split", "0.5", folder="two")
    assert main(["eval", "one", "two"]) == 1
    assert "`two` was trained on other data than `one`" in capsys.readouterr().err
    assert main(["eval", "one", "nothing"]) == 1
    assert "`nothing` holds no run" in capsys.readouterr().err


def test_a_sample_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    for name in ("a", "b", "c"):
        Path("images", name).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(np.full((8, 8), number, np.uint8)).save(f"images/{name}/{number}.png")
    Path("images/b/3.png").write_bytes(b"no image")
    Path("images/b/4.png").write_bytes(b"no image")
    arguments: list[Any] = ["train", "small.yaml", "--data", "images", "-o", "run"]
    assert main(arguments) == 1
    assert "cannot read `images/b/" in capsys.readouterr().err
    assert main([*arguments[:-1], "other", "--bad-data", "skip"]) == 0
    assert "another takes its place" in capsys.readouterr().err


def test_what_was_broken_off_before_its_first_checkpoint_begins_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained(folder="whole")
    trained()
    for path in list_checkpoints(Path("run")):
        path.unlink()
    assert trained("--resume") == 0
    assert (
        Path("run/weights.safetensors").read_bytes()
        == Path("whole/weights.safetensors").read_bytes()
    )
    assert [line["step"] for line in read_metrics(Path("run"))] == [
        line["step"] for line in read_metrics(Path("whole"))
    ]


def test_a_damaged_checkpoint_is_passed_over_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    trained(folder="whole")
    trained()
    list_checkpoints(Path("run"))[-1].write_bytes(b"")
    assert main(["train", "small.yaml", "--data", "bright.npz", "-o", "run", "--resume"]) == 0
    assert "skipped" in capsys.readouterr().err
    assert (
        Path("run/weights.safetensors").read_bytes()
        == Path("whole/weights.safetensors").read_bytes()
    )


@pytest.mark.parametrize(
    "change", ["optimizer=adamw", "average=polyak", "batch=8", "seed=1", "freeze=['fc.*']"]
)
def test_what_a_run_remembers_does_not_change_on_the_way(
    change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(
        "--set", "train.momentum=~", "--set", "train.ema_decay=~", "--set", "train.average=none"
    )
    more = [
        "--set",
        "train.momentum=~",
        "--set",
        "train.ema_decay=~",
        "--set",
        "train.average=none",
    ]
    assert trained("--resume", *more, "--set", f"train.{change}") == 1
    assert f"was trained with `{change.partition('=')[0]}`" in capsys.readouterr().err


def test_more_samples_of_the_same_name_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    with np.load("bright.npz") as found:
        np.savez("bright.npz", x=found["x"][:80], y=found["y"][:80])
    assert trained("--resume") == 1
    assert "have changed since `run` was trained: gone: `x[80]`" in capsys.readouterr().err


def test_fewer_epochs_than_it_has_is_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    assert trained("--resume", "--set", "train.epochs=1") == 0
    assert "trained for 15 steps" in capsys.readouterr().out


def test_weights_that_diverge_are_not_saved(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained("--set", "train.learning_rate=1e38", "--set", "train.epochs=2") == 1
    assert "lower the learning rate" in capsys.readouterr().err
    assert list_checkpoints(Path("run")) == []
    assert "NaN" not in Path("run/metrics.jsonl").read_text()
    assert main(["eval", "run"]) == 1
    assert "`run` was interrupted and its model has the initial weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{main: {classes: $classes}}",
            "{main: {loss: mse}}",
            "cannot be trained yet: its loss `mse` takes numbers",
        ),
        ("{main: {classes: $classes}}", "{main: {loss: none}}", "the main head has no loss"),
        (
            "  - flatten\n  - {name: fc, linear: {out: $classes}}",
            "  - {conv: {kernel: 1, out: 3}}",
            "end it with `flatten`",
        ),
        ("  - flatten\n", "  - flatten\n  - batch_norm\n", ""),
    ],
)
def test_what_the_data_cannot_train_is_refused(
    old: str, new: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.yaml").write_text(SPEC.replace(old, new))
    more = [] if message else ["--set", "train.batch=71"]  # of 72: one is left alone
    assert trained(*more) == 1
    assert (message or "has no statistics") in capsys.readouterr().err
    assert not Path("run").exists()


def test_what_led_to_a_failure_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained("--set", "train.learning_rate=1e20", "--log-every", "1") == 1
    assert "lower the learning rate" in capsys.readouterr().err
    assert "losses.loss" in Path("run/metrics.csv").read_text()
    assert Path("run/curves.svg").stat().st_size > 1000


def too_much(backend: str) -> None:
    if backend == "torch":
        import torch

        torch.empty(2**50)
    elif backend == "keras":
        import keras

        keras.ops.zeros((2**21, 2**21))
    else:
        np.empty(2**50)


@pytest.mark.parametrize("of", ["torch", "keras", "numpy"])
def test_where_memory_does_not_suffice_it_says_what_takes_less(
    of: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from archspec_torch.trainer import TorchTrainer

    def step(*_: Any) -> None:
        too_much(of)

    monkeypatch.setattr(TorchTrainer, "step", step)
    assert trained() == 1
    error = capsys.readouterr().err
    assert "there is not enough memory" in error
    assert "train.accumulate" in error


def test_a_full_disk_at_the_end_leaves_the_checkpoints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from archspec.train import run

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run, "save_checkpoint", full)
        assert trained() == 1
    assert "no space left on device" in capsys.readouterr().err
    assert trained("--resume") == 0
    assert main(["eval", "run"]) == 0


def test_a_file_in_the_place_of_the_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("run").write_text("mine")
    assert trained() == 1
    assert "`run` already exists" in capsys.readouterr().err
    assert Path("run").read_text() == "mine"
