"""The validation part: always the same, of every class, and never trained on."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.diagnostics import Failure
from archspec.train.data import open_data
from archspec.train.data.source import ArraySource, FileSource, iter_samples
from archspec.train.data.split import split


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_both_parts_together_are_the_set_and_each_class_has_its_share(
    labels: list[int], share: float
) -> None:
    source = ArraySource(np.zeros((len(labels), 1), np.float32), np.array(labels), "x")
    train, validation = (
        {sample.name: sample.label for sample in iter_samples(part)}
        for part in split(source, share)
    )
    assert not train.keys() & validation.keys()
    assert train.keys() | validation.keys() == {f"x[{i}]" for i in range(len(labels))}
    for label in set(labels):
        count, held = labels.count(label), list(validation.values()).count(label)
        assert abs(held - share * count) <= 1
        assert held < count
        assert held or count == 1


def test_it_is_chosen_by_name() -> None:
    names = tuple(f"a/{i}.png" for i in range(20))
    expected = sorted(sorted(names, key=lambda name: sha256(name.encode()).hexdigest())[:4])
    _, validation = split(FileSource(Path("/here"), names, (0,) * 20), 0.2)
    assert sorted(sample.name for sample in iter_samples(validation)) == expected
    # Elsewhere, in another order, beside other classes: the same.
    moved = FileSource(Path("/there"), ("0/0.png", *reversed(names)), (1, *(0,) * 20))
    assert sorted(sample.name for sample in iter_samples(split(moved, 0.2)[1])) == expected


def test_opened_twice_it_is_the_same() -> None:
    first, again = (open_data("digits").validation for _ in range(2))
    assert [sample.name for sample in iter_samples(first)] == [
        sample.name for sample in iter_samples(again)
    ]
    assert len(first) == pytest.approx(0.2 * 1797, abs=5)


def test_the_validation_part_may_be_empty_but_not_everything() -> None:
    data = open_data("digits", val_split=0)
    assert (len(data.train), len(data.validation)) == (1797, 0)
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(Failure, match="at least 0 and below 1"):
            open_data("digits", val_split=share)


def test_no_share_is_taken_of_data_that_have_a_part_of_their_own(tmp_path: Path) -> None:
    x, y = np.zeros((10, 3)), np.arange(10) % 2
    np.savez(tmp_path / "own.npz", x=x, y=y, x_test=x[:4], y_test=y[:4])
    for share in (None, 0):
        data = open_data(tmp_path / "own.npz", share)
        assert (len(data.train), len(data.validation), data.val_split) == (10, 4, 0)
    for share in (0.2, 7, float("nan")):
        with pytest.raises(
            Failure, match=r"own\.npz` has a validation part of its own; leave out --val-split"
        ):
            open_data(tmp_path / "own.npz", share)
