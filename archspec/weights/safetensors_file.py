"""A safetensors file as it is: tensors by the file's own names, whoever wrote it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from archspec._files import open_file
from archspec._numpy import Array, np
from archspec.diagnostics import quote
from archspec.weights.checkpoint import (
    METADATA_KEY,
    CheckpointError,
    check_digests,
    checkpoint_metadata,
    open_safetensors,
)

READABLE = ("F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")
"""The types that numpy has."""


def is_portable(path: Path) -> bool:
    """Return True if a safetensors file is a portable checkpoint.

    Raise `CheckpointError` if it is not a safetensors file.
    """
    with open_safetensors(path) as file:
        return METADATA_KEY in (file.metadata() or {})


def is_safetensors(file: BinaryIO) -> bool:
    """Return whether a file begins as safetensors do: a length, and an object of that length."""
    try:
        head, size = file.read(9), file.seek(0, os.SEEK_END)
    except OSError:
        return False
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") < size


def file_metadata(path: Path) -> dict[str, Any]:
    """Return a file's metadata: a checkpoint's own, or the texts that another writer left."""
    with open_safetensors(path) as file:
        texts: dict[str, str] = file.metadata() or {}
        return checkpoint_metadata(path, file) if METADATA_KEY in texts else texts


def read_safetensors(path: Path) -> dict[str, Array]:
    """Return all tensors of a file.

    Raise `CheckpointError` if one is damaged or of a type that numpy lacks.
    """
    return dict(iter_tensors(path))


def iter_tensors(path: Path) -> Iterator[tuple[str, Array]]:
    """Yield each tensor in turn, so that a file may be larger than the memory."""
    with open_safetensors(path) as file:
        metadata: dict[str, Any] = {}
        if METADATA_KEY in (file.metadata() or {}):
            metadata = checkpoint_metadata(path, file)
        for name in sorted(file.keys()):
            dtype: str = file.get_slice(name).get_dtype()
            if dtype == "BF16":
                yield name, _bfloat16(path, name)
            elif dtype in READABLE:
                tensor = file.get_tensor(name)
                check_digests(path, metadata, {name: tensor})
                yield name, tensor
            else:
                raise CheckpointError(
                    f"{quote(name)} in {quote(path)} has the type {dtype}, which numpy lacks"
                )


def _bfloat16(path: Path, name: str) -> Array:
    """Return a bfloat16 tensor widened to float32, whose upper half bfloat16 is."""
    with open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        halves = np.frombuffer(file.read(end - start), "<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
