"""Where samples come from: a sequence of pictures with their classes, read one by one and by number.

>>> source = Arrays(np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 1]), "x")
>>> part = Part(source, np.array([2, 0]))
>>> [(sample.name, sample.label) for sample in samples(part)]
[('x[2]', 1), ('x[0]', 0)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archspec.images import Picture

LARGEST = 2**30
"""Bytes of a picture's file that is read as a whole."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a picture that lies in a larger file."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Raises `OSError`; opened for each picture, which takes little beside decoding it, so that nothing is kept."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture, or float32 values of the input's own shape, and its class; its name is the same in every run."""

    picture: Picture | Content | NDArray[np.float32]
    label: int
    name: str


class Source(Protocol):
    """Samples by number; it is pickled for the processes that prepare them, and reads a file only when asked for it."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True)
class Parts:
    """A set before anything is held out: its classes, what is trained on, and what it has for validation itself."""

    classes: tuple[str, ...]
    train: Source
    held_out: Source | None = None


Watch = Callable[[str, int, int], object]
"""Is told of which part of a set how many samples are done, and of how many."""


def unwatched(part: str, done: int, total: int) -> None: ...


def samples(source: Source) -> Iterator[Sample]:
    return (source[index] for index in range(len(source)))


@dataclass(frozen=True)
class Arrays:
    """Samples that lie in memory: x [N, ...] is uint8 for pictures, and float32 for values."""

    x: NDArray[Any]
    y: NDArray[np.integer[Any]]
    name: str

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.x[index], int(self.y[index]), f"{self.name}[{index}]")


@dataclass(frozen=True)
class Files:
    """Pictures in files, called by their paths below `root`."""

    root: Path
    names: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.root / self.names[index], self.labels[index], self.names[index])


@dataclass(frozen=True)
class Part:
    """Some samples of another source."""

    source: Source
    indices: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.source[int(self.indices[index])]
