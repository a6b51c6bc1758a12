"""Torch's optimizers: one for each update rule, with their state as portable slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

import torch
from numpy.typing import NDArray
from torch import nn

from archspec.backend.optimizer import SGD, AdamW, UpdateRule
from archspec.backend.session import slot_name
from archspec.backend.trainer import ParamGroup
from archspec_torch.tensors import set_values, to_numpy

Array = NDArray[Any]

SLOT_KEYS = {"momentum": "momentum_buffer", "mean": "exp_avg", "square": "exp_avg_sq"}
"""The key of each slot in the state of torch's optimizers."""


def make_optimizer(
    rule: UpdateRule, groups: Mapping[ParamGroup, list[nn.Parameter]], *, fused: bool = True
) -> torch.optim.Optimizer:
    """Return torch's optimizer for a rule; the fused ones take no sharded parameters.

    Each group's `lr` has to be set before a step: the step's learning rate times its `factor`.
    """
    param_groups: list[dict[str, Any]] = [
        {"params": tensors, "factor": group.lr_multiplier, "weight_decay": group.weight_decay}
        for group, tensors in groups.items()
    ]
    if not param_groups:  # torch refuses an optimizer without parameters
        param_groups = [{"params": [nn.Parameter(torch.zeros(1))], "factor": 1.0}]
    match rule:
        case SGD(momentum, nesterov):
            return torch.optim.SGD(
                param_groups, lr=1.0, momentum=momentum, nesterov=nesterov, fused=fused
            )
        case AdamW(betas, eps):
            return torch.optim.AdamW(param_groups, lr=1.0, betas=betas, eps=eps, fused=fused)
        case _:
            assert_never(rule)


def get_slots(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Array]:
    """Return an optimizer's state as slots, by `slot_name`; `parameters` are by portable name."""
    slots: dict[str, Array] = {}
    for name, parameter in parameters.items():
        state: Mapping[str, Any] = optimizer.state.get(parameter, {})
        for slot, key in SLOT_KEYS.items():
            if state.get(key) is not None:
                slots[slot_name(name, slot)] = to_numpy(state[key])
    return slots


def set_slots(
    optimizer: torch.optim.Optimizer,
    rule: UpdateRule,
    parameters: Mapping[str, nn.Parameter],
    slots: Mapping[str, Array],
    updates: int,
) -> None:
    """Replace an optimizer's state by slots, after so many updates."""
    optimizer.state.clear()
    for name, parameter in parameters.items():
        state: dict[str, torch.Tensor] = {
            key: _filled(parameter, slots[slot_name(name, slot)])
            for slot, key in SLOT_KEYS.items()
            if slot_name(name, slot) in slots
        }
        match rule:
            case SGD(momentum):
                # Torch's fused SGD leaves its buffer unwritten if the first step overflows.
                if momentum and not state and parameter.requires_grad:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
            case AdamW():
                if state:
                    state["step"] = torch.tensor(float(updates), device=parameter.device)
            case _:
                assert_never(rule)
        if state:
            optimizer.state[parameter] = state


def _filled(parameter: nn.Parameter, values: Array) -> torch.Tensor:
    slot = torch.empty_like(parameter, requires_grad=False)
    set_values(slot, values)
    return slot
