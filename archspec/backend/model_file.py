"""A model in a file of a framework's own, run on a batch: what it gives, and the values on the way.

>>> import numpy
>>> run = in_batches(numpy.zeros((3, 4)), 2, lambda x: FileRun([x + 1], [("double", 2 * x)]))
>>> run.outputs[0].shape, run.values[0][0]
((3, 4), 'double')
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archspec._numpy import Array, np


@dataclass(frozen=True, slots=True)
class FileRun:
    """The outputs of a file's model on a batch, in inference mode, as the file lays them out."""

    outputs: list[Array]
    values: list[tuple[str, Array]] = field(default_factory=list[tuple[str, Array]])
    """Every value on the way that can be seen, by its name in the file, in execution order."""


RunFile = Callable[[Array], FileRun]


def to_input_layout(x: Array, shape: Sequence[int | None], channels_last: bool = False) -> Array:
    """Return a batch [N, C, ...] with its channels where a file's input of that shape has them.

    Where the sizes fit both ways, `channels_last` is the framework's custom.
    """
    rest = list(shape[1:])
    first, last = list(x.shape[1:]), [*x.shape[2:], x.shape[1]]

    def fits(sizes: list[int]) -> bool:
        pairs = zip(rest, sizes, strict=False)
        return len(rest) == len(sizes) and all(a in (None, b) for a, b in pairs)

    if x.ndim > 2 and fits(last) and (channels_last or not fits(first)):
        return np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return x


def in_batches(x: Array, size: int | None, run: RunFile) -> FileRun:
    """Return what a model gives for a batch, run in parts if it takes so many samples at a time."""
    if not size or size == len(x):
        return run(x)
    padded = np.concatenate([x, np.repeat(x[-1:], -len(x) % size, axis=0)])
    runs = [run(padded[start : start + size]) for start in range(0, len(padded), size)]
    return _joined(runs, size, len(x))


def _joined(runs: Sequence[FileRun], size: int, count: int) -> FileRun:
    """Return the runs of parts of `size` samples as one of the first `count` samples."""
    outputs = [
        np.concatenate(parts)[:count] for parts in zip(*(run.outputs for run in runs), strict=True)
    ]
    values: list[tuple[str, Array]] = []
    for parts in zip(*(run.values for run in runs), strict=True):
        arrays = [value for _, value in parts]
        if all(np.shape(value)[:1] == (size,) for value in arrays):
            values.append((parts[0][0], np.concatenate(arrays)[:count]))
    return FileRun(outputs, values)
