"""Samples from arrays: `x` and `y`, and `x_test` and `y_test` if present, as in an .npz file."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from archspec._files import open_file
from archspec.diagnostics import Failure, quote
from archspec.train.data.source import ArraySource, Dataset

NAMES = ("x", "y", "x_test", "y_test")
HEADER_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    SyntaxError,
    TokenError,
)
"""What numpy raises reading an array's header, which is a Python expression."""
ZIP_ERRORS = (EOFError, RuntimeError, BadZipFile, zlib.error)


def open_npz(path: Path) -> Dataset:
    """Open the arrays of a file; nothing in it can run code."""
    try:
        with open_file(path) as file, NpzFile(file, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {
                name: archive[name] for name in archive.files if name in NAMES
            }
            # A member without an array's header comes as bytes.
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("not an array")
    except (*HEADER_ERRORS, *ZIP_ERRORS) as error:
        why = getattr(error, "strerror", None) or "not an .npz file of plain arrays, or damaged"
        raise Failure(f"cannot read {quote(path)}: {why.lower()}") from error
    return from_arrays(arrays, str(path))


def from_arrays(arrays: Mapping[str, NDArray[Any]], name: str) -> Dataset:
    """Make a data set of arrays; raise `Failure` if they are not samples with their labels."""
    train = _source(arrays, "", name)
    validation = _source(arrays, "_test", name) if {"x_test", "y_test"} & set(arrays) else None
    highest = max(int(arrays[labels].max()) for labels in ("y", "y_test") if labels in arrays)
    # A class per label is made below, and a stray label of billions must not exhaust memory.
    if highest >= len(train):
        help = "labels are numbered from 0, one number per class"
        message = f"{quote(name)} has a label {highest:,} but only {len(train):,} samples"
        raise Failure(message, help)
    return Dataset(tuple(str(label) for label in range(highest + 1)), train, validation)


def _source(arrays: Mapping[str, NDArray[Any]], ending: str, name: str) -> ArraySource:
    for array in (f"x{ending}", f"y{ending}"):
        if array not in arrays:
            help = "`x` are the samples, `y` their labels"
            raise Failure(f"{quote(name)} has no array `{array}`", help)
    x, y = arrays[f"x{ending}"], arrays[f"y{ending}"]
    is_labels = y.ndim == 1 and y.dtype.kind in "iu" and len(y) > 0 and y.min() >= 0
    if not is_labels:
        message = f"`y{ending}` of {quote(name)} must be integers from 0 on, one per sample"
        raise Failure(message)
    if x.ndim < 2 or len(x) != len(y):
        message = (
            f"{quote(name)} has {len(y)} labels in `y{ending}` for an `x{ending}` of {_shape(x)}"
        )
        raise Failure(message)
    values = _samples(x, f"`x{ending}` of {quote(name)}")
    return ArraySource(values, y.astype(np.int64), f"x{ending}")


def _samples(x: NDArray[Any], name: str) -> NDArray[Any]:
    if x.dtype.kind == "f":
        # A value that becomes infinite is an error when its sample is read, by name.
        with np.errstate(over="ignore"):
            return x.astype(np.float32)
    if x.dtype != np.uint8:
        help = "bytes (uint8) are for images, floats for any other values"
        raise Failure(f"{name} is {x.dtype}", help)
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim != 3 and not (x.ndim == 4 and x.shape[-1] == 3):
        help = "bytes are for images: N x height x width, or with 3 at the end"
        raise Failure(f"{name} is {_shape(x)}", help)
    return x


def _shape(x: NDArray[Any]) -> str:
    return "x".join(map(str, x.shape)) or "one value"
