"""Samples that change after a run was begun: they are named, and with a word it goes on with the others."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from archspec.train.data import open_data
from archspec.train.data.source import iter_samples
from archspec.train.sample_record import (
    RECORD_FILE,
    compare_samples,
    read_record,
    restore_samples,
    sample_entries,
    write_record,
)
from tests.helpers.time_limit import time_limit

SPEC = """archspec: 1
name: small
input: [1, 4, 4]
network: [flatten, {name: fc, linear: {out: 2}}]
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.01, epochs: 2, batch: 8}
"""
TRAIN = ["train", "small.yaml", "--data", "own", "-o", "run", "--resume"]
ACCEPT = "--accept-data-changes"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    for number in range(40):
        folder = Path("own", "ab"[number % 2])
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (4, 4), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")


def train(*more: str) -> int:
    return main([*TRAIN, *more])


def image_of(part: str, index: int) -> Path:
    data = open_data("own")
    return Path("own", (data.train if part == "train" else data.validation)[index].name)


def test_the_record_is_of_every_sample_and_a_damaged_one_is_none() -> None:
    data = open_data("own")
    write_record(Path(), data)
    assert read_record(Path()) == list(sample_entries(data))
    assert not compare_samples(list(sample_entries(data)), data)
    whole = Path(RECORD_FILE).read_bytes()
    lines = (b"[1, 2]", b"{}", b"[" * 60_000, b'["train", "a", NaN, ""]')
    for content in (whole[:-20], b"no gzip", *(gzip.compress(line + b"\n") for line in lines)):
        Path(RECORD_FILE).write_bytes(content)
        assert read_record(Path()) is None
    Path(RECORD_FILE).unlink()
    assert read_record(Path()) is None
    os.mkfifo(RECORD_FILE)
    with time_limit(5):
        assert read_record(Path()) is None


def test_restored_samples_keep_their_parts_and_places() -> None:
    data = open_data("own")
    before = list(sample_entries(data))
    gone = image_of("train", 3)
    gone.unlink()
    for number in range(9):
        shutil.copy(image_of("validation", 0), f"own/a/new{number}.png")
    now = open_data("own")
    changes = compare_samples(before, now)
    assert (changes.changed, changes.removed) == ((), (gone.relative_to("own").as_posix(),))
    assert len(changes.added) == 9
    assert str(changes).endswith("and 4 more")
    restored = restore_samples(before, now)
    assert list(sample_entries(restored)) == [
        (part, name, label, "" if name in changes.removed else content)
        for part, name, label, content in before
    ]


def test_what_changed_is_named_and_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == 0
    changed, gone = image_of("train", 2), image_of("train", 5)
    held_out = {sample.name for sample in iter_samples(open_data("own").validation)}
    Image.new("L", (9, 9), 77).save(changed)
    gone.unlink()
    more = ["--set", "train.epochs=4"]
    assert train(*more) == 1
    error = capsys.readouterr().err
    assert f"changed: `{changed.relative_to('own')}`; gone: `{gone.relative_to('own')}`" in error
    assert ACCEPT in error
    assert train(*more, ACCEPT) == 0
    error = capsys.readouterr().err
    assert f"note: the data have changed: changed: `{changed.relative_to('own')}`" in error
    assert f"cannot read {gone.relative_to('own')}; another takes its place" in error
    lines = gzip.decompress(Path("run", RECORD_FILE).read_bytes()).splitlines()
    parts = {name: part for part, name, _, _ in map(json.loads, lines)}
    assert {name for name, part in parts.items() if part == "validation"} == held_out
    # It was accepted: neither the next resume nor eval asks again.
    assert train("--set", "train.epochs=5") == 0
    assert main(["eval", "run"]) == 0
    assert "8 validation samples" in capsys.readouterr().out
    changed.write_bytes(changed.read_bytes() + b"more")
    assert main(["eval", "run"]) == 1
    assert f"trained on it: changed: `{changed.relative_to('own')}`" in capsys.readouterr().err


def test_a_validation_sample_that_is_gone_leaves_no_other_in_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train() == 0
    gone = image_of("validation", 1)
    gone.unlink()
    assert train("--set", "train.epochs=4", ACCEPT) == 0
    assert f"cannot read {gone.relative_to('own')}; it is left out" in capsys.readouterr().err
    assert main(["eval", "run", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["samples"] == 7


def test_without_a_record_other_samples_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == 0
    Path("run", RECORD_FILE).unlink()
    image_of("train", 5).unlink()
    assert train(ACCEPT) == 1
    assert "these are other samples" in capsys.readouterr().err


def test_changes_are_accepted_on_resuming_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TRAIN[:-1], ACCEPT]) == 2
    assert "--accept-data-changes needs --resume" in capsys.readouterr().err


def test_resuming_says_where_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == 0
    assert "note: there is no run to resume: training begins at step 0" in capsys.readouterr().err
    assert train("--set", "train.epochs=3") == 0
    assert "note: the run resumes after step 8" in capsys.readouterr().err
    for path in Path("run/checkpoints").iterdir():
        path.unlink()
    assert train() == 0
    error = capsys.readouterr().err
    assert "the run has no checkpoint: training begins at step 0, and the 12 steps" in error


def test_checkpoints_of_another_run_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert train() == 0
    assert main([*TRAIN[:-1], "-o", "other"]) == 0
    Path("run/run.json").rename("run.json")
    assert train() == 1
    assert "`run` has checkpoints, but no run.json says of which run" in capsys.readouterr().err
    Path("run.json").rename("run/run.json")
    shutil.copy("other/checkpoints/step-00000008.safetensors", "run/checkpoints")
    assert train("--set", "train.epochs=3") == 1
    assert "step-00000008.safetensors` is a checkpoint of another run" in capsys.readouterr().err
    assert main(["eval", "run", "--best"]) == 1
    assert "is a checkpoint of another run" in capsys.readouterr().err
