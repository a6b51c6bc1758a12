"""Reading a set through: every sample that no training could read, and every file that is not what was packed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from archspec.diagnostics import Failure
from archspec.images import Unreadable
from archspec.ir.document import Preprocess
from archspec.train.data.folder import passed_over
from archspec.train.data.opening import open_parts
from archspec.train.data.prepare import read_sample
from archspec.train.data.shards import Shards, damaged, is_packed
from archspec.train.data.source import Part, Source, Watch, unwatched
from archspec.train.data.workers import deliver

AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Bad:
    """A sample, or a file, that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """How many classes and samples of each part there are, what of it is bad, and which files belong to no class."""

    classes: int
    samples: dict[str, int]
    bad: tuple[Bad, ...]
    passed_over: tuple[str, ...] = ()


def check(where: str | PathLike[str], workers: int = 0, watch: Watch = unwatched) -> Checked:
    """Raises `Failure` where it is no set at all.

    >>> check("digits")
    Checked(classes=10, samples={'train': 1797}, bad=(), passed_over=())
    """
    root = Path(where)
    bad = [Bad(*found) for found in damaged(root)] if is_packed(root) else []
    try:
        parts = open_parts(where)
    except Failure:
        if bad:
            return Checked(0, {}, tuple(bad))  # the files that are named keep it from being opened
        raise
    sources = {"train": parts.train} | (
        {"val": parts.held_out} if parts.held_out is not None else {}
    )
    for name, source in sources.items():
        done = 0
        for count, found in read_through(source, workers):
            bad += found
            done += count
            watch(name, done, len(source))
    counts = {name: len(source) for name, source in sources.items()}
    return Checked(len(parts.classes), counts, tuple(bad), passed_over(parts))


def read_through(source: Source, workers: int = 0) -> Iterator[tuple[int, tuple[Bad, ...]]]:
    """Some samples at a time, how many and which of them are bad; those of shards as they lie there."""
    steps = range(-(-len(source) // AT_ONCE))
    return deliver(
        _Reading(Part(source, source.order) if isinstance(source, Shards) else source),
        steps,
        workers,
    )


@dataclass(frozen=True)
class _Reading:
    source: Source

    def __call__(self, step: int) -> tuple[int, tuple[Bad, ...]]:
        indices = range(step * AT_ONCE, min((step + 1) * AT_ONCE, len(self.source)))
        return len(indices), tuple(bad for bad in map(self._bad, indices) if bad is not None)

    def _bad(self, index: int) -> Bad | None:
        sample = self.source[index]
        try:
            read_sample(sample, Preprocess())
        except Unreadable as error:
            return Bad(sample.name, error.message)
        return None
