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
    """Return a copy of a tensor's values, on any device and with or without a gradient."""
    return tensor.detach().cpu().contiguous().numpy().copy()
