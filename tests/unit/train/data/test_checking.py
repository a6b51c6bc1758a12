"""Every sample that cannot be read is named, and every file of shards that is not what was packed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.cli import main
from archspec.diagnostics import Failure
from archspec.train.data import DataReport, check_data, pack
from tests.unit.train.data.common import image_file

BAD = {"a/1.png": "not a readable image", "a/3.png": "damaged", "b/0.png": "no such file"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of ten images three are bad: no image, cut off, and gone."""
    root = tmp_path / "images"
    for name in ("a", "b"):
        for number in range(5):
            image_file(root / name / f"{number}.png")
    (root / "a/1.png").write_bytes(b"no image")
    (root / "a/3.png").write_bytes((root / "a/0.png").read_bytes()[:200])
    (root / "b/0.png").unlink()
    (root / "b/0.png").symlink_to("nowhere")
    return root


def named(found: DataReport) -> dict[str, str]:
    return {bad.name: bad.reason for bad in found.bad}


@pytest.mark.parametrize("workers", [0, 1])
def test_every_bad_image_is_named_with_the_reason(folder: Path, workers: int) -> None:
    told: list[tuple[str, int, int]] = []
    found = check_data(folder, workers, lambda *told_of: told.append(told_of))
    assert (found.classes, found.samples) == (2, {"train": 10})
    assert named(found).keys() == BAD.keys()
    assert all(BAD[name] in reason for name, reason in named(found).items())
    assert told == [("train", 10, 10)]


def test_values_that_are_not_finite_are_named(tmp_path: Path) -> None:
    x = np.ones((100, 3))
    x[70, 1], x[80, 2] = np.nan, 1e300  # more than a float32 holds
    np.savez(
        tmp_path / "set.npz", x=x, y=np.arange(100) % 2, x_test=x[60:80], y_test=np.zeros(20, int)
    )
    found = check_data(tmp_path / "set.npz")
    assert found.samples == {"train": 100, "val": 20}
    assert [*named(found)] == ["x[70]", "x[80]", "x_test[10]"]


def test_the_command_prints_them_and_ends_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(folder)]) == 1
    printed, said = capsys.readouterr()
    assert len(printed.splitlines()) == 3
    assert all(
        any(name in line and why in line for line in printed.splitlines())
        for name, why in BAD.items()
    )
    assert said == "2 classes, 10 training images, 3 unreadable\n"
    assert main(["data", "check", str(folder), "--format", "json"]) == 1
    facts: Any = json.loads(capsys.readouterr().out)
    assert {bad["name"] for bad in facts["bad"]} == BAD.keys()
    for name in BAD:
        (folder / name).unlink()
    assert main(["data", "check", str(folder)]) == 0
    assert capsys.readouterr() == ("", "2 classes, 7 training images, all readable\n")


def test_files_that_are_no_images_of_a_class_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train/a/1.png", "validation/a/1.png", "train/.cache/1.png", "train/a/.1.png"):
        image_file(tmp_path / name)
    passed = (
        "README",
        "test/a/1.png",
        "train/a/1.psd",
        "train/a/deeper/2.txt",
        "train/b.png",
        "validation/a/note\n",
    )
    for name in passed:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = check_data(tmp_path)
    assert (found.samples, found.bad) == ({"train": 1, "val": 1}, ())
    assert sorted(found.ignored) == sorted(passed)
    assert main(["data", "check", str(tmp_path)]) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("files that are not images of a class, ignored: `README`, ")
    assert first.endswith(", ... (6 in all)")
    assert second == "1 class, 1 training image, 1 validation image, all readable"
    assert main(["data", "check", str(tmp_path), "--format", "json"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)["ignored"]) == sorted(passed)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    for name in ("train/a", "train/b", "val/a", "val/b"):
        for number in range(6):
            image_file(tmp_path / "whole" / name / f"{number}.png", seed=number)
    pack(tmp_path / "whole", tmp_path / "packed", shard_size=10_240)
    assert check_data(tmp_path / "packed").bad == ()
    return tmp_path / "packed"


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["train-00001.tar", "val-00000.tar", "train.npy"])
def test_a_bit_that_changed_on_the_way_is_found(packed: Path, name: str) -> None:
    flipped(packed / name, -1 if name.endswith("npy") else 5)
    assert named(check_data(packed))[name] == "its checksum is not that of shards.json"


def test_shards_that_are_gone_or_cut_off_are_all_named(
    packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (packed / "train-00001.tar").unlink()
    (packed / "val-00000.tar").write_bytes((packed / "val-00000.tar").read_bytes()[:-1])
    found = named(check_data(packed))
    assert found["train-00001.tar"] == "no such file or directory"
    assert "checksum" in found["val-00000.tar"]
    assert main(["data", "check", str(packed)]) == 1
    assert "0 classes, no images, 2 unreadable" in capsys.readouterr().err


def test_bad_images_in_sound_shards_are_named(packed: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "whole/train/b/2.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    pack(tmp_path / "whole", tmp_path / "other")
    assert [*named(check_data(tmp_path / "other"))] == ["train/b/2.png"]


def test_what_is_no_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="has no folders"):
        check_data(tmp_path)
    with pytest.raises(Failure, match="there are no data"):
        check_data(tmp_path / "nothing")
