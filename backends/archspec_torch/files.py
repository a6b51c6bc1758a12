"""`.pt` and `.pth` files: a `state_dict`, read without unpickling anything but tensors."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from archspec.backend import FileTensor, MemoryBudget, Provenance, TooLarge
from archspec.backend.file_tensor import stated_by_role
from archspec.diagnostics import quote
from archspec.ir.graph import Graph
from archspec_torch.layout import state_dict_keys

WRAPPER_KEYS = ("state_dict", "model", "model_state_dict")
"""The keys under which training scripts store a state_dict beside other things."""


COUNTERS = ("num_batches_tracked", "n_averaged")
"""The last parts of keys under which torch counts batches and averaged models."""


_RESAVE_HELP = (
    "if you trust the file, save its tensors alone: "
    "`torch.save(torch.load(FILE, weights_only=False)['state_dict'], 'weights.pth')`, "
    "or the `.state_dict()` of what it holds"
)


def read_state_dict(path: Path, budget: MemoryBudget) -> dict[str, FileTensor]:
    """Return a file's tensors by their keys.

    Raise ValueError if the file is damaged, or holds objects, which torch refuses to build.
    """
    return file_tensors(_unwrap(_load_tensors(path, budget)), budget)


def file_tensors(
    state_dict: Mapping[str, torch.Tensor], budget: MemoryBudget
) -> dict[str, FileTensor]:
    """Return the tensors of a state_dict by their keys."""
    return {key: _file_tensor(key, tensor, budget) for key, tensor in state_dict.items()}


def _file_tensor(key: str, tensor: torch.Tensor, budget: MemoryBudget) -> FileTensor:
    """Return a tensor; those that torch's own layers name are laid out as the portable ones."""
    values, role = _numpy(key, tensor, budget), key.rpartition(".")[2]
    if role in COUNTERS:
        return FileTensor(values, unused="a counter")
    return stated_by_role(key, values)


def _load_tensors(path: Path, budget: MemoryBudget) -> Any:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                # Torch allocates what the members state, and not more.
                for info in archive.infolist():
                    budget.charge(info.file_size, info.filename)
        with path.open("rb") as file:  # of a path, torch would go by the suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, TooLarge):
        raise
    except Exception as error:
        if held := re.search(r"GLOBAL ([\w.]+) was not an allowed", str(error)):
            what = f"it holds objects beside the weights, as {quote(held[1])}, and objects are code"
            refused = ValueError(what)
            refused.add_note(_RESAVE_HELP)
            raise refused from error
        first_sentence = str(error).partition("\n")[0].partition(". ")[0]
        raise ValueError(f"torch does not read it as weights: {first_sentence}") from error


def _unwrap(content: Any) -> dict[str, torch.Tensor]:
    """Return the state_dict in a file's content, from within wrappers if there are any."""
    mapping = _as_mapping(content)
    # No deeper than there are wrappers: a file can hold a mapping that holds itself.
    for _ in WRAPPER_KEYS:
        if not mapping:
            break
        wrapped = [_as_mapping(mapping.get(key)) for key in WRAPPER_KEYS]
        mapping = next((inner for inner in wrapped if inner is not None), mapping)
    if mapping is None or not all(torch.is_tensor(value) for value in mapping.values()):
        raise ValueError("it holds no state_dict")
    return {str(key): value for key, value in mapping.items()}


def _as_mapping(value: Any) -> Mapping[Any, Any] | None:
    return cast("Mapping[Any, Any]", value) if isinstance(value, Mapping) else None


def _numpy(key: str, tensor: torch.Tensor, budget: MemoryBudget) -> NDArray[Any]:
    """Return a tensor's values; half precision becomes single, which numpy computes with."""
    tensor = tensor.detach()
    # A view can have any number of times the values that are stored.
    budget.charge(tensor.numel() * max(tensor.element_size(), 4), key)
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return tensor.numpy()


def write_state_dict(
    path: Path, graph: Graph, provenance: Provenance, tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write portable tensors as a `state_dict` that the emitted model of the graph loads."""
    keys = state_dict_keys(graph)
    state_dict = {
        keys[name]: torch.tensor(np.ascontiguousarray(tensor, np.float32))
        for name, tensor in tensors.items()
    }
    torch.save(state_dict, path)
