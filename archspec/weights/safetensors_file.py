"""A safetensors file as it is: tensors by the file's own names, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archspec._numpy import Array, np
from archspec.diagnostics import quote
from archspec.weights.checkpoint import KEY, CheckpointError, metadata, opened, verify

READABLE = ("F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")
"""The types that numpy has."""


def is_neutral(path: Path) -> bool:
    """Whether a safetensors file is a neutral checkpoint; raises `CheckpointError` where it is not even the former."""
    with opened(path) as file:
        return KEY in (file.metadata() or {})


def stated(path: Path) -> dict[str, Any]:
    """What a file says of itself: a checkpoint's own metadata, or the texts that another writer left."""
    with opened(path) as file:
        found: dict[str, str] = file.metadata() or {}
        return metadata(path, file) if KEY in found else found


def read(path: Path) -> dict[str, Array]:
    """All tensors of a file; raises `CheckpointError` where one is damaged or of a type that numpy lacks."""
    return dict(tensors(path))


def tensors(path: Path) -> Iterator[tuple[str, Array]]:
    """Each tensor in turn, so that a file larger than the memory can be gone through."""
    with opened(path) as file:
        own = metadata(path, file) if KEY in (file.metadata() or {}) else {}
        for name in sorted(file.keys()):
            dtype: str = file.get_slice(name).get_dtype()
            if dtype == "BF16":
                yield name, _bfloat16(path, name)
            elif dtype in READABLE:
                tensor = file.get_tensor(name)
                verify(path, own, {name: tensor})
                yield name, tensor
            else:
                raise CheckpointError(
                    f"{quote(name)} in {quote(path)} has the type {dtype}, which numpy lacks"
                )


def _bfloat16(path: Path, name: str) -> Array:
    """A tensor of a type that numpy lacks, widened: bfloat16 is the upper half of a float32."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        start, end = entry["data_offsets"]
        file.seek(8 + length + start)
        halves = np.frombuffer(file.read(end - start), "<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
