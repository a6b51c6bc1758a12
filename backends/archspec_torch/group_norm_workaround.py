"""A workaround for a crash in torch's group norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def work_around_group_norm(model: nn.Module) -> None:
    """Make each group norm of a model differentiate by its input too.

    Differentiated by its weights alone, it crashes the process on CPUs with channels last
    (torch 2.13).
    """
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.register_forward_pre_hook(_require_input_gradient)


def _require_input_gradient(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    (x,) = inputs
    if x.requires_grad or not torch.is_grad_enabled():
        return inputs
    return (x.detach().requires_grad_(),)
