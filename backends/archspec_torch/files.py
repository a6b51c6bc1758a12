"""`.pt` and `.pth`: a `state_dict`, read without unpickling anything but tensors."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from archspec.backend import MemoryBudget, TooLarge

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Under which keys training scripts keep a state_dict beside other things."""


def read(path: Path, room: MemoryBudget) -> dict[str, NDArray[Any]]:
    """The tensors of a file by their keys; what counts batches is no weight and is left out.

    Raises ValueError where the file is none, is damaged, or holds objects: torch refuses to build them.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(
                path
            ) as archive:  # torch takes memory for what it states, and no more
                for info in archive.infolist():
                    room.charge(info.file_size, info.filename)
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, TooLarge):
        raise
    except Exception as error:
        first = str(error).partition("\n")[0].partition(". ")[0]
        raise ValueError(f"torch does not read it as weights: {first}") from error
    held = _mapping(found)
    for _ in WRAPPERS:  # no deeper: a file can hold a mapping that holds itself
        inner = [_mapping(held.get(key)) for key in WRAPPERS] if held else []
        held = next((mapping for mapping in inner if mapping is not None), held)
    if held is None or not all(torch.is_tensor(value) for value in held.values()):
        raise ValueError("it holds no state_dict")
    kept = {str(key): value for key, value in held.items()}
    return {
        key: _numpy(key, value, room)
        for key, value in kept.items()
        if not key.endswith("num_batches_tracked")
    }


def _mapping(value: Any) -> Mapping[Any, Any] | None:
    return cast("Mapping[Any, Any]", value) if isinstance(value, Mapping) else None


def _numpy(key: str, tensor: torch.Tensor, room: MemoryBudget) -> NDArray[Any]:
    tensor = tensor.detach()
    room.charge(
        tensor.numel() * max(tensor.element_size(), 4), key
    )  # a view can be any number of times what it shows
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy()


def write(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Writes a state_dict."""
    state = {
        key: torch.tensor(np.ascontiguousarray(tensor, np.float32))
        for key, tensor in tensors.items()
    }
    torch.save(state, path)
