"""`.pt` and `.pth`: a `state_dict`, read without unpickling anything but tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Under which keys training scripts keep a state_dict beside other things."""


def read(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file by their keys; what counts batches is no weight and is left out.

    Raises ValueError where the file is none, is damaged, or holds objects: torch refuses to build them.
    """
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        first = str(error).partition("\n")[0].partition(". ")[0]
        raise ValueError(f"torch does not read it as weights: {first}") from error
    while isinstance(found, Mapping):
        inner = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not all(torch.is_tensor(value) for value in found.values()):
        raise ValueError("it holds no state_dict")
    kept = {str(key): value for key, value in cast("Mapping[Any, torch.Tensor]", found).items()}
    return {key: _numpy(value) for key, value in kept.items() if not key.endswith("num_batches_tracked")}


def _numpy(tensor: torch.Tensor) -> NDArray[Any]:
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy()


def write(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Writes a state_dict."""
    state = {key: torch.from_numpy(np.ascontiguousarray(tensor, np.float32)) for key, tensor in tensors.items()}
    torch.save(state, path)
