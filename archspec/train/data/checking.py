"""Reading a data set through: unreadable samples, and files that are not what was packed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from archspec.diagnostics import Failure
from archspec.images import UnreadableSample
from archspec.ir.document import Preprocess
from archspec.train.data.folder import ignored_files
from archspec.train.data.opening import open_dataset
from archspec.train.data.prepare import read_sample
from archspec.train.data.shards import ShardSource, damaged_files, is_packed
from archspec.train.data.source import DataSource, OnProgress, Subset, ignore_progress
from archspec.train.data.workers import map_steps

CHUNK = 64
"""Samples that are read between two reports of progress."""


@dataclass(frozen=True, slots=True)
class BadSample:
    """A sample, or a file, that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class DataReport:
    """The number of classes, of samples by part, what is bad, and files that belong to no class."""

    classes: int
    samples: dict[str, int]
    bad: tuple[BadSample, ...]
    ignored: tuple[str, ...] = ()


def check_data(
    where: str | PathLike[str], workers: int = 0, on_progress: OnProgress = ignore_progress
) -> DataReport:
    """Read a data set through; raise `Failure` if it cannot be opened at all.

    >>> check_data("digits")
    DataReport(classes=10, samples={'train': 1797}, bad=(), ignored=())
    """
    root = Path(where)
    bad = [BadSample(*file) for file in damaged_files(root)] if is_packed(root) else []
    try:
        dataset = open_dataset(where)
    except Failure:
        if bad:
            # These files are why it cannot be opened.
            return DataReport(0, {}, tuple(bad))
        raise
    sources = {"train": dataset.train}
    if dataset.validation is not None:
        sources["val"] = dataset.validation
    for name, source in sources.items():
        done = 0
        for count, bad_samples in read_through(source, workers):
            bad += bad_samples
            done += count
            on_progress(name, done, len(source))
    counts = {name: len(source) for name, source in sources.items()}
    return DataReport(len(dataset.classes), counts, tuple(bad), ignored_files(dataset))


def read_through(
    source: DataSource, workers: int = 0
) -> Iterator[tuple[int, tuple[BadSample, ...]]]:
    """Yield, for each chunk of samples, how many there are and which of them are bad."""
    steps = range(-(-len(source) // CHUNK))
    if isinstance(source, ShardSource):
        # In the order of the files: each shard is read from end to end.
        source = Subset(source, source.order)
    return map_steps(_ChunkReader(source), steps, workers)


@dataclass(frozen=True)
class _ChunkReader:
    source: DataSource

    def __call__(self, step: int) -> tuple[int, tuple[BadSample, ...]]:
        indices = range(step * CHUNK, min((step + 1) * CHUNK, len(self.source)))
        return len(indices), tuple(bad for bad in map(self._read, indices) if bad is not None)

    def _read(self, index: int) -> BadSample | None:
        sample = self.source[index]
        try:
            read_sample(sample, Preprocess())
        except UnreadableSample as error:
            return BadSample(sample.name, error.message)
        return None
