"""Batches in the order of training, each a function of its step: a run goes on anywhere as if it never stopped."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.random import Generator as Random
from numpy.typing import NDArray

from archspec.backend.trainer import rank_slices
from archspec.diagnostics import Failure, UsageError, quote
from archspec.images import Unreadable
from archspec.train.data.source import Sample, Source
from archspec.train.data.workers import deliver


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs [N, ...] and their labels [N]; `bad` names the samples of it that could not be read."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    bad: tuple[str, ...] = ()


class Preparation(Protocol):
    """From a sample to an input of `shape`; with nothing to draw from it varies nothing."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def varies(self) -> bool:
        """Whether it draws at all."""
        ...

    def __call__(self, sample: Sample, random: Random | None, /) -> NDArray[np.float32]: ...


def stream(seed: int, *key: int) -> Random:
    """Random numbers that depend on the seed and the key alone.

    >>> len({stream(0, *key).random() for key in ((1,), (1,), (1, 0), (1, 0))})
    2
    """
    return Random(PCG64(SeedSequence(seed, spawn_key=key)))


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return stream(seed, epoch).permutation(count)


@dataclass(frozen=True)
class Batches:
    """The batches of all epochs, by step; of each, the share of one rank of those that train together.

    Without a seed the samples come in their own order and are not varied. What cannot be read ends the run, or, with
    `bad_data="skip"`, gives way to the next sample of its batch that can; without a seed it is left out.
    """

    source: Source
    prepare: Preparation
    batch: int
    seed: int | None
    workers: int = 0
    rank: int = 0
    ranks: int = 1
    bad_data: Literal["error", "skip"] = "error"
    accumulate: int = 1
    """The parts that a batch is computed in, of each of which every rank has a share."""

    def __post_init__(self) -> None:
        if self.batch < 1 or not 0 <= self.rank < self.ranks:
            message = f"a batch has at least 1 sample, and rank is below ranks; found {self.batch}, {self.rank}"
            raise UsageError(f"{message} of {self.ranks}")

    @property
    def steps(self) -> int:
        """Steps of an epoch; the last one may have fewer samples."""
        return -(-len(self.source) // self.batch)

    def at(self, step: int) -> Generator[Batch]:
        """All batches from that step on, without end; close it to end its processes early."""
        if not self.steps:
            raise Failure("there are no samples to train on")
        return self.over(range(step, sys.maxsize))

    def over(self, steps: range) -> Generator[Batch]:
        """The batches of those steps."""
        with closing(deliver(self._parts, steps, self.workers)) as delivered:
            for x, y, bad in delivered:
                yield Batch(np.asarray(x), np.asarray(y), tuple(bad))

    def _parts(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]:
        """A batch as a tuple, whose arrays processes hand over in shared memory."""
        batch = self[step]
        return batch.x, batch.y, batch.bad

    def __getitem__(self, step: int) -> Batch:
        epoch, place = divmod(step, self.steps)
        indices = self._order(epoch)[place * self.batch : (place + 1) * self.batch].tolist()
        mine = np.r_[tuple(rank_slices(len(indices), self.accumulate, self.rank, self.ranks))]
        x, y = np.empty((len(mine), *self.prepare.shape), np.float32), np.empty(len(mine), np.int64)
        bad: list[str] = []
        count = 0
        for position in mine.tolist():
            skipped, found = self._read(indices, position, epoch)
            bad += skipped[:1]  # the others are told of in their own places
            if found is not None:
                x[count], y[count] = found
                count += 1
            elif self.seed is not None:
                raise Failure(
                    f"no sample of the batch of step {step} can be read, as {quote(bad[0])}"
                )
        return Batch(x[:count], y[:count], tuple(bad))

    def _read(
        self, indices: list[int], position: int, epoch: int
    ) -> tuple[list[str], tuple[NDArray[np.float32], int] | None]:
        """The first sample from there on that can be read, prepared, and its label; and the names of those passed."""
        skipped: list[str] = []
        varies = self.prepare.varies
        for offset in range(1 if self.seed is None else len(indices)):
            index = indices[(position + offset) % len(indices)]
            sample = self.source[index]
            random = stream(self.seed, epoch, index) if varies and self.seed is not None else None
            try:
                return skipped, (self.prepare(sample, random), sample.label)
            except Unreadable:
                if self.bad_data == "error":
                    raise
                skipped.append(sample.name)
        return skipped, None

    def _order(self, epoch: int) -> NDArray[Any]:
        count = len(self.source)
        return np.arange(count) if self.seed is None else _order(count, self.seed, epoch)


def whole(
    source: Source,
    prepare: Preparation,
    batch: int,
    workers: int = 0,
    bad_data: Literal["error", "skip"] = "error",
) -> Generator[Batch]:
    """Every sample once, in order and not varied: for evaluation.

    A batch of which nothing can be read joins the one before it, so that none is empty.
    """
    batches = Batches(source, prepare, batch, None, workers, bad_data=bad_data)
    last: Batch | None = None
    with closing(batches.over(range(batches.steps))) as found:
        for made in found:
            if last is None or not len(last.y) or not len(made.y):
                last = made if last is None else _joined(last, made)
            else:
                yield last
                last = made
    if last is not None:
        if not len(last.y):
            raise Failure(f"no sample of {len(source):,} can be read, as {quote(last.bad[0])}")
        yield last


def _joined(one: Batch, other: Batch) -> Batch:
    return Batch(
        np.concatenate([one.x, other.x]), np.concatenate([one.y, other.y]), one.bad + other.bad
    )
