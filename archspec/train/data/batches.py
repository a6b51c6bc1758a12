"""Batches as a function of the training step: a run resumes anywhere as if it had never stopped."""

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
from archspec.images import UnreadableSample
from archspec.train.data.prepare import RemovedSample
from archspec.train.data.source import DataSource, Sample
from archspec.train.data.workers import map_steps


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs [N, ...] and labels [N]; `bad` names the samples that could not be read."""

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    bad: tuple[str, ...] = ()


class SampleTransform(Protocol):
    """Turns a sample into an input of `shape`; without random numbers it augments nothing."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def augments(self) -> bool:
        """True if it draws random numbers at all."""
        ...

    def __call__(self, sample: Sample, random: Random | None, /) -> NDArray[np.float32]: ...


def random_stream(seed: int, *key: int) -> Random:
    """Return random numbers that depend on the seed and the key alone.

    >>> keys = [(1,), (1,), (1, 0), (1, 0)]
    >>> len({random_stream(0, *key).random() for key in keys})
    2
    """
    return Random(PCG64(SeedSequence(seed, spawn_key=key)))


@lru_cache(maxsize=2)
def _shuffled(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return random_stream(seed, epoch).permutation(count)


@dataclass(frozen=True)
class Batches:
    """The batches of all epochs, by step, or one rank's share of them.

    Without a seed the samples come in their own order and are not augmented. A sample that cannot
    be read is an error. With `bad_data="skip"` the next readable one of its batch takes its place;
    without a seed it is left out. A batch of which nothing can be read is empty.
    """

    source: DataSource
    transform: SampleTransform
    batch: int
    seed: int | None
    workers: int = 0
    rank: int = 0
    world_size: int = 1
    bad_data: Literal["error", "skip"] = "error"
    accumulate: int = 1
    """The number of microbatches of a batch; every rank has a share of each."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise UsageError(f"a batch has at least 1 sample, found {self.batch}")
        if not 0 <= self.rank < self.world_size:
            message = f"a rank is below the world size, found {self.rank} of {self.world_size}"
            raise UsageError(message)

    @property
    def steps(self) -> int:
        """Steps of an epoch; the last one may have fewer samples."""
        return -(-len(self.source) // self.batch)

    def from_step(self, step: int) -> Generator[Batch]:
        """Yield all batches from that step on, without end; close it to end its workers early."""
        if not self.steps:
            raise Failure("there are no samples to train on")
        return self.for_steps(range(step, sys.maxsize))

    def for_steps(self, steps: range) -> Generator[Batch]:
        with closing(map_steps(self._as_tuple, steps, self.workers)) as made:
            for x, y, bad in made:
                yield Batch(np.asarray(x), np.asarray(y), tuple(bad))

    def _as_tuple(
        self, step: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]:
        """Return a batch as a tuple: workers pass its arrays in shared memory."""
        batch = self[step]
        return batch.x, batch.y, batch.bad

    def __getitem__(self, step: int) -> Batch:
        epoch, step_of_epoch = divmod(step, self.steps)
        start = step_of_epoch * self.batch
        indices = self._order(epoch)[start : start + self.batch].tolist()
        slices = rank_slices(len(indices), self.accumulate, self.rank, self.world_size)
        positions = np.r_[tuple(slices)]
        x = np.empty((len(positions), *self.transform.shape), np.float32)
        y = np.empty(len(positions), np.int64)
        bad: list[str] = []
        count = 0
        for position in positions.tolist():
            skipped, example = self._read(indices, position, epoch)
            bad += skipped[:1]  # the others are reported at their own positions
            if example is not None:
                x[count], y[count] = example
                count += 1
        return Batch(x[:count], y[:count], tuple(bad))

    def _read(
        self, indices: list[int], position: int, epoch: int
    ) -> tuple[list[str], tuple[NDArray[np.float32], int] | None]:
        """Return the names of skipped samples, and the input and label of the first readable one.

        The search starts at `position` and wraps around the batch.
        """
        skipped: list[str] = []
        for offset in range(1 if self.seed is None else len(indices)):
            index = indices[(position + offset) % len(indices)]
            sample = self.source[index]
            try:
                return skipped, (self.transform(sample, self._random(epoch, index)), sample.label)
            except UnreadableSample as error:
                if self.bad_data == "error" and not isinstance(error, RemovedSample):
                    raise
                skipped.append(sample.name)
        return skipped, None

    def _random(self, epoch: int, index: int) -> Random | None:
        if self.seed is None or not self.transform.augments:
            return None
        return random_stream(self.seed, epoch, index)

    def _order(self, epoch: int) -> NDArray[Any]:
        count = len(self.source)
        return np.arange(count) if self.seed is None else _shuffled(count, self.seed, epoch)


def evaluation_batches(
    source: DataSource,
    transform: SampleTransform,
    batch: int,
    workers: int = 0,
    bad_data: Literal["error", "skip"] = "error",
) -> Generator[Batch]:
    """Yield every sample once, in order and not augmented.

    A batch with no readable sample joins the one before it, so that none is empty.
    """
    batches = Batches(source, transform, batch, None, workers, bad_data=bad_data)
    last: Batch | None = None
    with closing(batches.for_steps(range(batches.steps))) as made:
        for current in made:
            if last is None:
                last = current
            elif not len(last.y) or not len(current.y):
                last = _concatenated(last, current)
            else:
                yield last
                last = current
    if last is not None:
        if not len(last.y):
            raise Failure(f"no sample of {len(source):,} can be read, as {quote(last.bad[0])}")
        yield last


def _concatenated(first: Batch, second: Batch) -> Batch:
    x = np.concatenate([first.x, second.x])
    y = np.concatenate([first.y, second.y])
    return Batch(x, y, first.bad + second.bad)
