"""Packed sets of a stranger's, or damaged ones: refused with the reason, in bounded memory, nothing run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.diagnostics import Failure
from archspec.images import UnreadableSample
from archspec.ir.document import Preprocess
from archspec.train.data import InputTransform, open_data, pack
from tests.unit.train.data.common import image_file


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    for name in ("train/a", "train/b", "val/a", "val/b"):
        for number in range(4):
            image_file(tmp_path / "images" / name / f"{number}.png", seed=number)
    pack(tmp_path / "images", tmp_path / "packed", shard_size=10_240)
    return tmp_path / "packed"


def changed(packed: Path, change: Callable[[Any], object]) -> None:
    facts = json.loads((packed / "shards.json").read_text())
    change(facts)
    (packed / "shards.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "outside", ["../train-00000.tar", "/etc/passwd", "train-00000.tar/../x.tar", "shards.json"]
)
def test_a_name_that_leads_elsewhere_is_refused(packed: Path, outside: str) -> None:
    changed(packed, lambda facts: facts["train"]["shards"][0].update(file=outside))
    with pytest.raises(
        Failure, match=r"shards\.json` is not a manifest .*: `train\.shards\.0\.file` is wrong"
    ):
        open_data(packed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.update(format="archspec-shards-2"), "`format` is wrong"),
        (lambda facts: facts.update(more=1), "`more` is wrong"),
        (lambda facts: facts.pop("classes"), "`classes` is wrong"),
        (
            lambda facts: facts["train"]["shards"][0].update(bytes=-1),
            "`train.shards.0.bytes` is wrong",
        ),
        (
            lambda facts: facts["train"]["shards"][0].update(bytes=1),
            "has 10,240 bytes, but 1 in shards.json",
        ),
        (
            lambda facts: facts["train"]["shards"][0].update(samples=3),
            "a shard has another number of samples",
        ),
        (lambda facts: facts["train"].update(samples=9), "differ: 8 samples, and 9"),
        (
            lambda facts: facts["train"].update(shards=facts["train"]["shards"][:-1]),
            "a shard that does not exist",
        ),
        (lambda facts: facts.update(classes=["a"]), "differ: a label is not one of 1 classes"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(packed: Path, change: Any, message: str) -> None:
    changed(packed, change)
    with pytest.raises(Failure) as caught:
        open_data(packed)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "null", "\xff", '{"format": "archspec-shards-1"} ' * 2]
)
def test_a_manifest_that_is_no_text_of_one_is_refused(packed: Path, text: str) -> None:
    (packed / "shards.json").write_text(text, encoding="latin-1")
    with pytest.raises(Failure, match="is not a manifest of packed data"):
        open_data(packed)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("shard", 99, "a shard that does not exist"),
        ("shard", 2**32 - 1, "a shard that does not exist"),
        ("offset", -1, "reaches beyond its shard"),
        ("offset", 10_240, "reaches beyond its shard"),
        ("offset", 2**63 - 1, "reaches beyond its shard"),
        ("size", -1, "reaches beyond its shard"),
        ("size", 10_240, "reaches beyond its shard"),
        ("size", 2**63 - 1, "reaches beyond its shard"),
        ("label", 2, "a label is not one of 2 classes"),
        ("label", -1, "a label is not one of 2 classes"),
    ],
)
def test_an_index_that_is_wrong_is_refused(
    packed: Path, field: str, value: int, message: str
) -> None:
    index = np.load(packed / "train.npy")
    index[field][3] = value
    np.save(packed / "train.npy", index)
    with pytest.raises(Failure, match=message):
        open_data(packed)


@pytest.mark.parametrize(
    "longer", [np.zeros(3, "i8"), np.zeros((2, 2)), np.array([{}, {}]), np.array("text")]
)
def test_an_index_of_another_kind_is_refused(packed: Path, longer: Any) -> None:
    np.save(packed / "train.npy", longer, allow_pickle=True)
    with pytest.raises(Failure, match=r"cannot read .*train\.npy`: not an index"):
        open_data(packed)


def test_an_index_that_claims_more_than_its_file_has_is_refused(packed: Path) -> None:
    content = (packed / "train.npy").read_bytes()
    larger = content.replace(b"(8,), }" + b" " * 12, b"(8000000000000,), }")
    for wrong in (
        content.replace(b"(8,)", b"(9,)"),
        larger,
        content[:-1],
        content[:50],
        b"",
        b"PK\x03\x04",
    ):
        assert wrong != content
        (packed / "train.npy").write_bytes(wrong)
        with pytest.raises(Failure, match=r"cannot read .*train\.npy`: not an index"):
            open_data(packed)


@pytest.mark.parametrize("name", ["train-00001.tar", "val-00000.tar", "train.npy"])
def test_a_file_that_is_missing_is_named(packed: Path, name: str) -> None:
    (packed / name).unlink()
    with pytest.raises(Failure, match=f"{name}` ?.*no such file"):
        open_data(packed)


def test_a_shard_that_goes_or_shrinks_later_makes_its_samples_unreadable(packed: Path) -> None:
    train, prepare = open_data(packed).train, InputTransform((3, 8, 8), Preprocess())
    for path in packed.glob("train-*.tar"):
        path.write_bytes(b"")
    with pytest.raises(UnreadableSample, match="cannot read `train/a/0.png`: not a readable image"):
        prepare(train[0])
    for path in packed.glob("train-*.tar"):
        path.unlink()
    with pytest.raises(UnreadableSample, match="cannot read `train/a/0.png`: no such file"):
        prepare(train[0])
