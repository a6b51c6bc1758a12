"""Runs are scored on nothing that they were trained on: their validation part, and of other data all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from archspec.train.data import open_data
from archspec.train.data.source import iter_samples
from archspec.train.holdout import evaluation_data
from archspec.train.trained_run import TrainedRun

SPEC = """archspec: 1
name: small
input: [1, 4, 4]
network: [flatten, {name: fc, linear: {out: 3}}]
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.01, epochs: 1, batch: 16}
"""
KINDS = ("ash", "birch", "cedar")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a spec, images of noise in three folders, and a run on them."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    write_images("own", *KINDS)
    trained("run", "own")


def write_images(root: str, *kinds: str, count: int = 10) -> None:
    rng = np.random.default_rng(len(root))
    for kind in kinds:
        Path(root, kind).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 256, (4, 4)).astype(np.uint8)).save(
                f"{root}/{kind}/{root}{number}.png"
            )


def trained(folder: str, data: str, *more: str) -> None:
    assert main(["train", "small.yaml", "--data", data, "-o", folder, "--quiet", *more]) == 0


def scored(*arguments: Any, runs: tuple[str, ...] = ("run",)) -> list[str]:
    found = evaluation_data([TrainedRun.open(Path(run)) for run in runs], *arguments)
    return [sample.name for sample in iter_samples(found.validation)]


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["eval", "run", "--quiet", *arguments]) == code
    return capsys.readouterr().err


def test_a_run_is_scored_on_its_validation_samples_wherever_its_data_lie() -> None:
    own = [sample.name for sample in iter_samples(open_data("own").validation)]
    shutil.copytree("own", "copy")
    assert main(["data", "pack", "own", "-o", "packed", "--quiet"]) == 0
    assert len(own) == 6
    assert scored() == scored("own") == scored("copy") == scored("packed") == own


def test_the_share_of_a_run_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    for data in ([], ["--data", "own"], ["--data", "./own"]):
        error = refused(capsys, 2, "--val-split", "0.9", *data)
        assert (
            "own` was chosen when `run` was trained on it\n  help: leave out --val-split" in error
        )


def test_what_was_trained_on_as_a_whole_has_nothing_to_be_scored_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained("all", "own", "--val-split", "0")
    capsys.readouterr()
    assert main(["eval", "all"]) == 1
    assert (
        "own` has no validation samples\n  help: other data, which `--data` names"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("change", ["more", "fewer", "other", "validation"])
def test_data_that_have_changed_since_are_refused(
    change: str, named: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(Path("own/ash").iterdir())
    if change == "more":
        shutil.copy(first, "own/ash/more.png")
    elif change == "fewer":
        first.unlink()
    elif change == "validation":
        Path("own").rename("train")
        write_images("val", *KINDS, count=2)
        for part in ("train", "val"):
            shutil.move(part, f"own/{part}")
    else:
        first.write_bytes(first.read_bytes() + b"more")
    error = refused(capsys, 1, *(["--data", "own"] if named else []))
    assert "own` has changed since `run` was trained on it: " in error
    assert {
        "more": "new: `ash/more.png`",
        "fewer": "gone: `ash/own",
        "other": "changed: `ash/own",
        "validation": "gone: ",
    }[change] in error
    assert "\n  help: restore the data" in error


def test_other_data_are_scored_as_a_whole_or_by_a_share_or_by_their_part_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_images("test", *KINDS)
    assert len(scored("test")) == 30
    assert scored("test", 0.4) == [
        sample.name for sample in iter_samples(open_data("test", 0.4).validation)
    ]
    write_images("val", *KINDS, count=2)
    shutil.move("test", "both/train")
    shutil.move("val", "both/val")
    assert len(scored("both")) == 6
    assert "leave out --val-split" in refused(capsys, 2, "--data", "both", "--val-split", "0.4")
    assert main(["eval", "run", "--data", "both/train"]) == 0
    assert "30 samples of `both/train`" in capsys.readouterr().out


def test_some_of_the_classes_are_numbered_as_the_run_has_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_images("test", *KINDS)
    whole = confusion(capsys, "test")
    shutil.rmtree("test/ash")
    assert confusion(capsys, "test") == [[0, 0, 0], *whole[1:]]
    assert sum(map(sum, whole[1:])) == 20


def confusion(capsys: pytest.CaptureFixture[str], data: str) -> list[list[int]]:
    capsys.readouterr()
    assert main(["eval", "run", "--data", data, "--format", "json", "--workers", "1"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["classes"] == list(KINDS)
    return found["ensemble"]["confusion"]


def test_other_classes_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    write_images("test", "ash", "brich", "date")
    error = refused(capsys, 1, "--data", "test")
    assert "`test` has classes that `run` was not trained on: `brich`, `date`" in error
    assert "did you mean `birch`?" in error


def test_runs_of_other_samples_have_only_other_data_in_common() -> None:
    trained("half", "own", "--val-split", "0.5")
    write_images("test", *KINDS)
    trained("other", "test")
    for second in ("half", "other"):
        with pytest.raises(
            Exception,
            match=f"`{second}` was trained on other data than `run`; score each by itself",
        ):
            scored(runs=("run", second))
    with pytest.raises(Exception, match="`half` was trained on other data"):
        scored("own", runs=("run", "half"))
    assert scored("own", runs=("other", "run")) == scored("own")
    write_images("third", *KINDS)
    assert len(scored("third", runs=("run", "half", "other"))) == 30
