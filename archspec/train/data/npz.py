"""Samples from arrays: `x` and `y`, and `x_test` and `y_test` where there are any, as in an .npz file."""

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

from archspec.diagnostics import Failure, quote
from archspec.train.data.source import Arrays, Parts

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
"""As numpy reads an array's header, which is a Python expression."""
ZIP_ERRORS = (EOFError, RuntimeError, BadZipFile, zlib.error)


def open_npz(path: Path) -> Parts:
    """The arrays of a file; nothing in it can run code."""
    try:
        with path.open("rb") as file, NpzFile(file, allow_pickle=False) as arrays:
            found: dict[str, Any] = {name: arrays[name] for name in arrays.files if name in NAMES}
            if not all(isinstance(array, np.ndarray) for array in found.values()):
                raise ValueError("what has no header comes as bytes")
    except (*HEADER_ERRORS, *ZIP_ERRORS) as error:
        why = (
            getattr(error, "strerror", None)
            or "it is no .npz file of plain arrays, or it is damaged"
        )
        raise Failure(f"cannot read {quote(path)}: {why.lower()}") from error
    return from_arrays(found, str(path))


def from_arrays(found: Mapping[str, NDArray[Any]], called: str) -> Parts:
    """Raises `Failure` where the arrays are no pictures or values with their labels."""
    train = _source(found, "", called)
    held_out = _source(found, "_test", called) if set(NAMES[2:]) & set(found) else None
    highest = max(int(found[name].max()) for name in ("y", "y_test") if name in found)
    if highest >= len(train):
        help = "labels are numbered from 0, one number a class"
        raise Failure(f"{quote(called)} has a label {highest:,}, and {len(train):,} samples", help)
    return Parts(tuple(str(label) for label in range(highest + 1)), train, held_out)


def _source(found: Mapping[str, NDArray[Any]], ending: str, called: str) -> Arrays:
    for name in (f"x{ending}", f"y{ending}"):
        if name not in found:
            raise Failure(
                f"{quote(called)} has no array `{name}`", "`x` are the samples, `y` their labels"
            )
    x, y = found[f"x{ending}"], found[f"y{ending}"]
    if y.ndim != 1 or y.dtype.kind not in "iu" or not len(y) or y.min() < 0:
        raise Failure(
            f"`y{ending}` of {quote(called)} has to be whole numbers from 0, one a sample"
        )
    if x.ndim < 2 or len(x) != len(y):
        raise Failure(
            f"{quote(called)} has {len(y)} labels in `y{ending}` for an `x{ending}` of {_shape(x)}"
        )
    return Arrays(_samples(x, f"`x{ending}` of {quote(called)}"), y.astype(np.int64), f"x{ending}")


def _samples(x: NDArray[Any], called: str) -> NDArray[Any]:
    if x.dtype.kind == "f":
        with np.errstate(
            over="ignore"
        ):  # what becomes infinite is refused where it is read, by name
            return x.astype(np.float32)
    if x.dtype != np.uint8:
        raise Failure(
            f"{called} is {x.dtype}", "bytes (uint8) are for pictures, floats for any other values"
        )
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.ndim != 3 and not (x.ndim == 4 and x.shape[-1] == 3):
        raise Failure(
            f"{called} is {_shape(x)}",
            "bytes are for pictures: N x height x width, or with 3 at the end",
        )
    return x


def _shape(x: NDArray[Any]) -> str:
    return "x".join(map(str, x.shape)) or "one value"
