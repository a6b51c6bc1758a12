"""Small conversions between what torch modules return and numpy."""

from __future__ import annotations

from typing import Any, cast

import torch
from numpy.typing import NDArray


def as_tuple(values: Any) -> tuple[Any, ...]:
    """Return a module's result as a tuple: a module with one output returns a tensor.

    >>> as_tuple(1), as_tuple((1, 2))
    ((1,), (1, 2))
    """
    return cast("tuple[Any, ...]", values) if isinstance(values, tuple) else (values,)


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a copy of a tensor's values, on any device and with or without a gradient.

    Of a tensor that is divided among processes, all of them have to ask together for the whole.
    """
    if hasattr(tensor, "full_tensor"):  # a `DTensor`, whose import takes half a second
        tensor = cast("Any", tensor).full_tensor()
    return tensor.detach().cpu().contiguous().numpy().copy()


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return this process's part of a tensor; the whole if it is not divided."""
    return cast("Any", tensor).to_local() if hasattr(tensor, "to_local") else tensor


def set_values(tensor: torch.Tensor, values: Any) -> None:
    """Set a tensor to whole values; if it is divided, all processes have to have them."""
    whole = torch.as_tensor(values, dtype=tensor.dtype)
    if hasattr(tensor, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        divided: Any = tensor
        mesh, whole = divided.device_mesh, whole.to(tensor.device)
        whole = distribute_tensor(whole, mesh, divided.placements, src_data_rank=None)
    with torch.no_grad():
        tensor.copy_(whole)
