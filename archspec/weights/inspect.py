"""Contents of a file of weights: tensors, their sizes and ranges, and values that are not finite.

No spec is needed: names and layouts are the file's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from archspec._numpy import Array, np
from archspec.backend import FileTensor
from archspec.weights import formats, safetensors_file

MAX_SQUARED = 1e100
"""The largest number of which many squares can be added."""


@dataclass(frozen=True, slots=True)
class TensorSummary:
    """A tensor; `min`, `mean`, `max` and `std` are of its finite values, None if it has none.

    `unused` says why it is no weight of the network; it is empty if it is one.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    min: float | None
    mean: float | None
    max: float | None
    std: float | None
    nan: int
    inf: int
    unused: str = ""


@dataclass(frozen=True, slots=True)
class FileContents:
    """A file of weights."""

    file: str
    format: str
    metadata: dict[str, Any]
    tensors: tuple[TensorSummary, ...]

    @property
    def weights(self) -> tuple[TensorSummary, ...]:
        """The tensors that are weights, and not a counter, an optimizer's slot or a shape."""
        return tuple(tensor for tensor in self.tensors if not tensor.unused)

    @property
    def values(self) -> int:
        """The number of values in all weights."""
        return sum(int(np.prod(tensor.shape, dtype=np.int64)) for tensor in self.weights)


def inspect(path: str | os.PathLike[str]) -> FileContents:
    """Return the contents of a file; raise `CheckpointError` if it is damaged."""
    path = Path(path)
    kind = formats.kind_of_file(path)
    if kind.name != "safetensors":
        return FileContents(
            str(path), kind.name, {}, _summaries(formats.read_file(path, kind).items())
        )
    stated = {
        key: value
        for key, value in safetensors_file.file_metadata(path).items()
        if key != "digests"
    }
    name = "portable checkpoint" if safetensors_file.is_portable(path) else kind.name
    return FileContents(str(path), name, stated, _summaries(safetensors_file.iter_tensors(path)))


def _summaries(tensors: Iterable[tuple[str, Array | FileTensor]]) -> tuple[TensorSummary, ...]:
    return tuple(
        replace(summarize(name, tensor.values), unused=tensor.unused)
        if isinstance(tensor, FileTensor)
        else summarize(name, tensor)
        for name, tensor in tensors
    )


def summarize(name: str, tensor: Array) -> TensorSummary:
    """Return the figures of one tensor, in float64; complex numbers and texts are left out.

    >>> import numpy
    >>> found = summarize("bias", numpy.array([1.0, 3.0, numpy.nan]))
    >>> found.min, found.mean, found.max, found.std, found.nan
    (1.0, 2.0, 3.0, 1.0, 1)
    """
    if tensor.dtype.kind == "c":
        numbers = np.zeros(0)
        nan, inf = int(np.isnan(tensor).sum()), int(np.isinf(tensor).sum())
    elif tensor.dtype.kind in "OSU":
        numbers, nan, inf = np.zeros(0), 0, 0
    else:
        with np.errstate(invalid="ignore"):  # NaN of any kind is counted, and not warned of
            values = tensor.astype(np.float64).ravel()
        nan, inf = int(np.isnan(values).sum()), int(np.isinf(values).sum())
        numbers = values[np.isfinite(values)] if nan or inf else values
    return TensorSummary(name, tensor.shape, tensor.dtype.name, *_figures(numbers), nan, inf)


def _figures(numbers: Array) -> tuple[float | None, float | None, float | None, float | None]:
    """Return the least, the mean, the greatest and the standard deviation of finite numbers."""
    if not numbers.size:
        return None, None, None, None
    low, high = float(numbers.min()), float(numbers.max())
    # The squares of what lies beyond 1e154 are infinite.
    largest = max(-low, high)
    scale = largest if largest > MAX_SQUARED else 1.0
    scaled = numbers if scale == 1 else numbers / scale
    return low, float(scaled.mean()) * scale, high, float(scaled.std()) * scale


def contents_json(contents: FileContents) -> dict[str, Any]:
    """Return the contents as JSON values."""
    facts = {"file": contents.file, "format": contents.format, "metadata": contents.metadata}
    counts = {"count": len(contents.weights), "values": contents.values}
    return {**facts, **counts, "tensors": [asdict(tensor) for tensor in contents.tensors]}
