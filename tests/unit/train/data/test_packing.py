"""What `pack` writes: the set itself, to the byte, for us and for any reader of tar files; whole or not at all."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.diagnostics import Failure
from archspec.images import UnreadableSample
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.train.data import Batches, InputTransform, SplitData, check_data, open_data, pack
from archspec.train.data.source import DataSource, FileSlice, iter_samples
from tests.unit.train.data.common import image_file
from tests.unit.train.data.test_batches import same


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two parts, two classes, three kinds of files."""
    root = tmp_path / "images"
    for part, many in (("train", 12), ("val", 4)):
        for name in ("cats", "dogs"):
            for number in range(many):
                kind = ("jpg", "png", "webp")[number % 3]
                image_file(
                    root / part / name / f"{number}.{kind}", seed=number, size=(20 + number, 24)
                )
    return root


def content(source: DataSource) -> list[tuple[str, int, bytes]]:
    def read(where: Any) -> bytes:
        return where.read() if isinstance(where, FileSlice) else where.read_bytes()

    return [(sample.name, sample.label, read(sample.image)) for sample in iter_samples(source)]


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


@pytest.mark.parametrize("limit", [1, 20_480, 10**9])
def test_a_packed_set_is_the_set(folder: Path, tmp_path: Path, limit: int) -> None:
    made = pack(folder, tmp_path / "packed", shard_size=limit)
    plain, packed = open_data(folder), open_data(tmp_path / "packed")
    assert packed.classes == plain.classes == ("cats", "dogs")
    assert content(packed.train) == content(plain.train)
    assert content(packed.validation) == content(plain.validation)
    assert content(pickle.loads(pickle.dumps(packed.train))) == content(plain.train)
    assert len(made.train.shards) in {1: [24], 20_480: range(4, 8), 10**9: [1]}[limit]
    assert all(shard.bytes <= limit or shard.samples == 1 for shard in made.train.shards)


def test_without_a_part_for_validation_the_same_samples_validate(
    folder: Path, tmp_path: Path
) -> None:
    pack(folder / "train", tmp_path / "packed")
    plain, packed = open_data(folder / "train", 0.25), open_data(tmp_path / "packed", 0.25)
    assert content(packed.train) == content(plain.train)
    assert content(packed.validation) == content(plain.validation)
    assert len(packed.validation) == 6


@pytest.mark.parametrize("workers", [0, 2])
def test_training_sees_the_same_batches(folder: Path, tmp_path: Path, workers: int) -> None:
    pack(folder, tmp_path / "packed", shard_size=20_000)

    def batches(data: SplitData, workers: int) -> Any:
        augment = Augment(area=(0.5, 1), flip=True)
        return Batches(
            data.train, InputTransform((3, 16, 16), Preprocess(), augment), 5, 3, workers
        ).from_step(0)

    plain, packed = batches(open_data(folder), 0), batches(open_data(tmp_path / "packed"), workers)
    assert all(same(next(plain), next(packed)) for _ in range(10))
    packed.close()


def test_other_readers_find_images_and_labels_in_a_mixed_order(
    folder: Path, tmp_path: Path
) -> None:
    made = pack(folder, tmp_path / "packed", shard_size=40_000)
    plain = sorted((label, data) for _, label, data in content(open_data(folder).train))
    found: list[tuple[int, bytes]] = []
    for shard in made.train.shards:
        with tarfile.open(tmp_path / "packed" / shard.file) as tar:
            members = tar.getmembers()
            read: Any = [tar.extractfile(member) for member in members]
            for at in range(0, len(members), 2):
                key, suffix = members[at].name.split(".")
                assert members[at + 1].name == f"{key}.cls"
                assert suffix in ("jpeg", "png", "webp")
                assert int(key) == len(found)
                found.append((int(read[at + 1].read()), read[at].read()))
    assert sorted(found) == plain
    labels = [label for label, _ in found]
    assert labels != sorted(labels)
    with tarfile.open(tmp_path / "packed" / "val-00000.tar") as tar:
        validation: list[Any] = [
            tar.extractfile(name) for name in tar.getnames() if name.endswith("cls")
        ]
        assert [int(file.read()) for file in validation] == [0] * 4 + [1] * 4


def test_the_manifest_is_true_and_the_same_set_makes_the_same_bytes(
    folder: Path, tmp_path: Path
) -> None:
    pack(folder, tmp_path / "one", shard_size=20_000, size=16)
    for path in folder.rglob("*.*"):
        os.utime(path, (0, 0))
    pack(folder, tmp_path / "two", shard_size=20_000, size=16)
    written = files(tmp_path / "one")
    assert written == files(tmp_path / "two")
    facts = json.loads(written["shards.json"])
    named = {shard["file"]: shard for part in ("train", "val") for shard in facts[part]["shards"]}
    assert {*named, "train.npy", "val.npy", "shards.json"} == set(written)
    for name, shard in named.items():
        assert shard["sha256"] == sha256(written[name]).hexdigest()
        assert shard["bytes"] == len(written[name])
        with tarfile.open(tmp_path / "one" / name) as tar:
            assert shard["samples"] == len(tar.getnames()) / 2
    assert facts["train"]["index"] == sha256(written["train.npy"]).hexdigest()
    assert check_data(tmp_path / "one").bad == ()


def test_larger_images_are_scaled_down_and_the_others_left(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "packed", size=22)
    plain, packed = open_data(folder).train, open_data(tmp_path / "packed").train
    for (name, label, before), (same_name, same_label, after) in zip(
        content(plain), content(packed), strict=True
    ):
        assert (name, label) == (same_name, same_label)
        path = tmp_path / "after"
        path.write_bytes(after)
        with Image.open(folder / name) as old, Image.open(path) as new:
            if min(old.size) <= 22:
                assert before == after
            else:
                expected = old.convert("RGB").resize(
                    (max(22, round(24 * 22 / min(old.size))), new.height), 3
                )
                assert min(new.size) == 22
                assert new.format == ("JPEG" if name.endswith("jpg") else "PNG")
                bound = (
                    40 if name.endswith("jpg") else 1
                )  # noise is the worst that a JPEG can be asked to keep
                assert np.abs(np.asarray(expected, float) - np.asarray(new, float)).mean() <= bound


def test_arrays_of_images_and_packed_sets_are_packed_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    labels = np.arange(40) % 3
    np.savez(tmp_path / "set.npz", x=pixels[..., 0], y=labels, x_test=pixels[:9], y_test=labels[:9])
    pack(tmp_path / "set.npz", tmp_path / "one")
    pack(tmp_path / "one", tmp_path / "two", shard_size=20_000)
    prepare, plain = InputTransform((3, 8, 8), Preprocess()), open_data(tmp_path / "set.npz")
    for root in ("one", "two"):
        packed = open_data(tmp_path / root)
        assert packed.classes == plain.classes
        for part in ("train", "validation"):
            mine, theirs = getattr(packed, part), getattr(plain, part)
            for index in range(len(theirs)):
                assert (mine[index].name, mine[index].label) == (
                    theirs[index].name,
                    theirs[index].label,
                )
                np.testing.assert_array_equal(prepare(mine[index]), prepare(theirs[index]))
    np.savez(tmp_path / "set.npz", x=np.zeros((4, 3), np.float32), y=np.arange(4))
    with pytest.raises(Failure, match="these data are not images"):
        pack(tmp_path / "set.npz", tmp_path / "three")


def test_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9 \xc3\xa9.png")
    for name in ("a/1.png", f"a/{odd}", "b/1.png"):
        made = image_file(tmp_path / "images" / "new.png")
        (tmp_path / "images" / name).parent.mkdir(exist_ok=True)
        made.replace(tmp_path / "images" / name)
    pack(tmp_path / "images", tmp_path / "packed")
    assert content(open_data(tmp_path / "packed", 0).train) == content(
        open_data(tmp_path / "images", 0).train
    )
    (tmp_path / "images" / "b").rename(tmp_path / "images" / os.fsdecode(b"\xff"))
    with pytest.raises(Failure, match=r"the name of the class `\\udcff` is not UTF-8"):
        pack(tmp_path / "images", tmp_path / "other")


@pytest.mark.parametrize("damage", [b"no image", None])
def test_what_cannot_be_read_is_named_and_nothing_is_left(
    folder: Path, tmp_path: Path, damage: bytes | None
) -> None:
    path = folder / "val" / "dogs" / "1.png"
    if damage is None:
        path.unlink()
        path.symlink_to("nowhere")
    else:
        path.write_bytes(damage)
    with pytest.raises(UnreadableSample, match=r"cannot read `val/dogs/1\.png`"):
        pack(folder, tmp_path / "packed")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_what_is_there_is_not_touched(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    pack(folder, tmp_path / "packed")  # an empty folder is as good as none
    before = files(tmp_path / "packed")
    for place in (tmp_path / "packed", image_file(tmp_path / "0.jpg")):
        with pytest.raises(Failure, match="already exists"):
            pack(folder, place)
    assert files(tmp_path / "packed") == before


def test_a_build_does_not_take_the_place_of_packed_data(folder: Path, tmp_path: Path) -> None:
    from archspec.build_folder import replace_folder

    pack(folder, tmp_path / "packed")
    before = files(tmp_path / "packed")
    with pytest.raises(Failure, match="holds something else than a build"):
        replace_folder(tmp_path / "packed", lambda _: None)
    assert files(tmp_path / "packed") == before


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))  # as a disk that is full after so many bytes
from archspec.cli import main
sys.exit(main(["data", "pack", sys.argv[1], "-o", sys.argv[2]]))
"""


def test_a_disk_that_is_full_is_a_clear_error_and_nothing_is_left(
    folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", FULL, folder, "packed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write `packed`: file too large\n")
    assert "nothing was changed" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


ENDED = """
import os, signal, sys
from archspec.cli import main
from archspec.train.data import packing
packed = packing._image_file
def ended(sample, size):
    if sample.name.startswith("val"):
        os.kill(os.getpid(), signal.SIGTERM)
    return packed(sample, size)
packing._image_file = ended
sys.exit(main(["data", "pack", sys.argv[1], "-o", sys.argv[2]]))
"""


def test_a_pack_that_a_scheduler_ends_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDED, folder, tmp_path / "packed"], capture_output=True, check=False
    )
    assert done.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
