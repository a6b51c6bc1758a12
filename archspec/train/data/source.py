"""Data sources: sequences of images with their classes, read one by one and by index.

>>> source = ArraySource(np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 1]), "x")
>>> subset = Subset(source, np.array([2, 0]))
>>> [(sample.name, sample.label) for sample in iter_samples(subset)]
[('x[2]', 1), ('x[0]', 0)]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archspec._files import open_file
from archspec.images import ImageLike

MAX_FILE_BYTES = 2**30
"""The largest image file that is read."""


@dataclass(frozen=True, slots=True)
class FileSlice:
    """The bytes of an image inside a larger file."""

    path: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Read the bytes; raise `OSError` if they cannot be read.

        Opening the file each time costs little beside decoding the image, and keeps none open.
        """
        with open_file(self.path) as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True, slots=True)
class RemovedImage:
    """Stands for the image of a sample that a run was begun with and that is gone since."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An image, or float32 values of the input's shape, and its class.

    Its name is the same in every run.
    """

    image: ImageLike | FileSlice | RemovedImage | NDArray[np.float32]
    label: int
    name: str


class DataSource(Protocol):
    """Samples by index.

    It is pickled for worker processes, and reads a file only when that sample is asked for.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Sample: ...


@dataclass(frozen=True)
class Dataset:
    """A data set as it comes: its classes, training samples, and its own validation part if any.

    `ignored` names the files beside the samples that are not any.
    """

    classes: tuple[str, ...]
    train: DataSource
    validation: DataSource | None = None
    ignored: tuple[str, ...] = ()


OnProgress = Callable[[str, int, int], object]
"""Called with the name of a task, how many samples are done, and of how many."""


def ignore_progress(task: str, done: int, total: int) -> None: ...


def iter_samples(source: DataSource) -> Iterator[Sample]:
    return (source[index] for index in range(len(source)))


@dataclass(frozen=True)
class ArraySource:
    """Samples in memory: x [N, ...] is uint8 for images and float32 for other values."""

    x: NDArray[Any]
    y: NDArray[np.integer[Any]]
    name: str

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.x[index], int(self.y[index]), f"{self.name}[{index}]")


@dataclass(frozen=True)
class FileSource:
    """Images in files, named by their paths below `root`."""

    root: Path
    names: tuple[str, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return Sample(self.root / self.names[index], self.labels[index], self.names[index])


@dataclass(frozen=True)
class Subset:
    """Some samples of another source."""

    source: DataSource
    indices: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.source[int(self.indices[index])]
