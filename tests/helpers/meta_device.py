"""Every tensor that code makes is on one device: `meta`, where torch computes shapes and no values.

>>> with OneDevice("meta"), torch.no_grad():
...     torch.zeros(2, device="meta") + 1
tensor(..., device='meta', size=(2,))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MOVES = (torch.ops.aten.lift_fresh.default, torch.ops.aten._to_copy.default)
"""What brings data from numpy, and what takes them to the device: the ends of their way."""


class OneDevice(TorchDispatchMode):
    """A block in which an operation with a tensor on another device raises AssertionError."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        if func not in MOVES:
            self._check(func, (args, kwargs, result))
        return result

    def _check(self, func: Any, values: Any) -> None:
        for leaf in tree_leaves(values):
            if isinstance(leaf, torch.Tensor) and leaf.device.type != self.kind:
                raise AssertionError(f"{func} has a tensor on {leaf.device}, not {self.kind}")


def tensors(module: torch.nn.Module) -> Mapping[str, torch.Tensor]:
    """A module's parameters and their gradients, and its buffers, by name."""
    found = dict(module.state_dict(keep_vars=True))
    gradients = {f"{name}.grad": t.grad for name, t in found.items() if t.grad is not None}
    return found | gradients
