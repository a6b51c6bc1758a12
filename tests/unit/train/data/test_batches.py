"""The order of training: nothing lost, nothing doubled, and every batch a function of its step."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.diagnostics import Failure, UsageError
from archspec.images import UnreadableSample
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.train.data import Batch, Batches, InputTransform, evaluation_batches, open_data
from archspec.train.data.source import ArraySource, FileSource
from tests.unit.train.data.common import PLAIN, image_file, numbered

VARIED = InputTransform(
    (1, 8, 8), Preprocess(channels="gray"), Augment(shift=1, flip=True, brightness=0.4)
)


def numbers(batch: Batch) -> list[int]:
    assert (batch.x.dtype, batch.y.dtype) == (np.float32, np.int64)
    assert batch.x[:, 0].tolist() == batch.y.tolist()
    return batch.y.tolist()


def same(one: Batch, other: Batch) -> bool:
    return (
        one.x.tobytes() == other.x.tobytes()
        and one.y.tolist() == other.y.tolist()
        and one.bad == other.bad
    )


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**40), st.integers(1, 5))
def test_an_epoch_has_every_sample_once_and_ranks_share_its_batches(
    count: int, size: int, seed: int, ranks: int
) -> None:
    batches = Batches(numbered(count), PLAIN, size, seed)
    shares = [
        Batches(numbered(count), PLAIN, size, seed, rank=rank, world_size=ranks)
        for rank in range(ranks)
    ]
    assert batches.steps * size >= count > (batches.steps - 1) * size
    for epoch in range(2):
        seen: list[int] = []
        for step in range(epoch * batches.steps, (epoch + 1) * batches.steps):
            batch = numbers(batches[step])
            parts = [numbers(share[step]) for share in shares]
            assert list(chain(*parts)) == batch
            assert max(map(len, parts)) - min(map(len, parts)) <= 1
            seen += batch
        assert sorted(seen) == list(range(count))
        assert all(len(batches[step].y) == size for step in range(batches.steps - 1))


def test_the_order_is_the_seeds_and_the_epochs() -> None:
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        batches = Batches(numbered(100), PLAIN, 100, seed)
        return tuple(numbers(batches[epoch]))

    orders = {order(seed, epoch) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert tuple(range(100)) not in orders
    assert order(1, 2) == order(1, 2)


@pytest.mark.parametrize("start", [0, 1, 2, 3, 7, 30])
def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(start: int) -> None:
    data = open_data("digits", val_split=0.97)  # 54 samples, three steps an epoch
    batches = Batches(data.train, VARIED, 20, seed=5)
    assert batches.steps == 3
    through = list(islice(batches.from_step(0), start + 6))
    resumed = list(islice(Batches(data.train, VARIED, 20, seed=5).from_step(start), 6))
    assert all(same(one, other) for one, other in zip(through[start:], resumed, strict=True))
    assert not same(through[start], through[start + 3])


def test_how_a_sample_is_varied_depends_on_nothing_beside_it() -> None:
    source = open_data("digits", val_split=0.97).train

    def inputs(size: int, epoch: int = 0, seed: int = 5, ranks: int = 1) -> set[bytes]:
        batches = Batches(source, VARIED, size, seed, world_size=ranks)
        return {
            x.tobytes()
            for step in range(epoch * batches.steps, (epoch + 1) * batches.steps)
            for x in batches[step].x
        }

    assert inputs(20) == inputs(7) == inputs(54)
    assert inputs(54, ranks=2) < inputs(54)
    assert len(inputs(20) & inputs(20, epoch=1)) < 5
    assert len(inputs(20) & inputs(20, seed=6)) < 5


def test_each_sample_is_varied_in_its_own_way() -> None:
    alike = ArraySource(
        np.tile(np.arange(64, dtype=np.uint8).reshape(8, 8), (30, 1, 1)), np.zeros(30, int), "x"
    )
    prepare = InputTransform(VARIED.shape, VARIED.preprocess, Augment(brightness=0.9))
    assert len({x.tobytes() for x in Batches(alike, prepare, 30, 0)[0].x}) > 20


def test_evaluation_has_every_sample_once_in_order_as_it_is() -> None:
    assert [numbers(batch) for batch in evaluation_batches(numbered(7), PLAIN, 3)] == [
        [0, 1, 2],
        [3, 4, 5],
        [6],
    ]
    assert list(evaluation_batches(numbered(0), PLAIN, 3)) == []
    source = open_data("digits", val_split=0.97).train
    plain = InputTransform(VARIED.shape, VARIED.preprocess)
    assert all(
        same(one, other)
        for one, other in zip(
            evaluation_batches(source, VARIED, 8), evaluation_batches(source, plain, 8), strict=True
        )
    )


def test_there_has_to_be_something_to_train_on() -> None:
    with pytest.raises(Failure, match="no samples"):
        Batches(numbered(0), PLAIN, 3, 0).from_step(0)


def damaged(count: int, bad: set[int]) -> Any:
    source = numbered(count)
    source.x[sorted(bad)] = np.nan
    return source


def test_a_sample_that_cannot_be_read_ends_the_run() -> None:
    with pytest.raises(UnreadableSample, match=r"`x\[3\]`"):
        list(islice(Batches(damaged(8, {3}), PLAIN, 3, 0).from_step(0), 3))
    with pytest.raises(UnreadableSample, match=r"`x\[3\]`"):
        list(evaluation_batches(damaged(8, {3}), PLAIN, 3))


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 3), st.integers(0, 99), st.data())
def test_or_gives_way_to_the_next_of_its_batch(
    count: int, size: int, ranks: int, seed: int, data: Any
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    sound = Batches(numbered(count), PLAIN, size, seed)
    parts = [
        Batches(
            damaged(count, bad), PLAIN, size, seed, rank=rank, world_size=ranks, bad_data="skip"
        )
        for rank in range(ranks)
    ]
    for step in range(sound.steps):
        batch = numbers(sound[step])
        if set(batch) <= bad:
            empty = [part[step] for part in parts]
            assert not any(len(part.y) for part in empty)
            assert list(chain(*(part.bad for part in empty))) == [f"x[{i}]" for i in batch]
            continue
        expected = [
            next(i for i in batch[place:] + batch[:place] if i not in bad)
            for place in range(len(batch))
        ]
        found = [part[step] for part in parts]
        assert list(chain(*map(numbers, found))) == expected
        assert list(chain(*(part.bad for part in found))) == [f"x[{i}]" for i in batch if i in bad]


def test_evaluation_leaves_it_out() -> None:
    found = list(evaluation_batches(damaged(7, {1, 6}), PLAIN, 3, bad_data="skip"))
    assert [numbers(batch) for batch in found] == [[0, 2], [3, 4, 5]]
    assert [batch.bad for batch in found] == [("x[1]",), ("x[6]",)]


@given(st.integers(1, 20), st.integers(1, 5), st.data())
def test_evaluation_has_no_empty_batch_and_names_what_it_leaves_out(
    count: int, size: int, data: Any
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    batches = evaluation_batches(damaged(count, bad), PLAIN, size, bad_data="skip")
    if len(bad) == count:
        with pytest.raises(Failure, match=rf"no sample of {count} can be read, as `x\[0\]`"):
            list(batches)
        return
    found = list(batches)
    assert all(len(batch.y) for batch in found)
    assert list(chain(*map(numbers, found))) == [i for i in range(count) if i not in bad]
    assert list(chain(*(batch.bad for batch in found))) == [f"x[{i}]" for i in sorted(bad)]


@pytest.mark.parametrize(
    ("size", "rank", "ranks"), [(0, 0, 1), (-1, 0, 1), (4, 2, 2), (4, -1, 2), (4, 0, 0)]
)
def test_a_batch_without_samples_and_a_rank_beyond_the_others_are_refused(
    size: int, rank: int, ranks: int
) -> None:
    with pytest.raises(
        Failure,
        match="a batch has at least 1 sample" if size < 1 else "a rank is below the world size",
    ) as caught:
        Batches(numbered(8), PLAIN, size, 0, rank=rank, world_size=ranks)
    assert isinstance(caught.value, UsageError)


def test_a_file_that_cannot_be_read_is_named_and_can_be_skipped(tmp_path: Path) -> None:
    names = tuple(f"a/{i}.png" for i in range(6))
    for seed, name in enumerate(names):
        image_file(tmp_path / name, seed)
    (tmp_path / names[4]).write_bytes(b"no image")
    source, prepare = (
        FileSource(tmp_path, names, tuple(range(6))),
        InputTransform((3, 8, 8), Preprocess()),
    )
    with pytest.raises(UnreadableSample, match=r"4\.png`: not a readable image"):
        list(islice(Batches(source, prepare, 6, 0).from_step(0), 1))
    (batch,) = islice(Batches(source, prepare, 6, 0, bad_data="skip").from_step(0), 1)
    assert batch.bad == (names[4],)
    assert 4 not in batch.y
    assert set(batch.y.tolist()) == {0, 1, 2, 3, 5}


def test_what_is_wrong_with_the_network_is_not_skipped() -> None:
    source = open_data("digits").train
    with pytest.raises(Failure, match="rgb image has 3 channels"):
        next(
            Batches(
                source, InputTransform((1, 8, 8), Preprocess()), 4, 0, bad_data="skip"
            ).from_step(0)
        )
