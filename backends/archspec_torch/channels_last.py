"""Batch norm on CPUs where channels lie last, with statistics that hold however many values there are.

Torch 2.13 sums a channel's values one after the other there, in float32. The more there are, and the larger their mean
is beside their spread, the more a batch norm's output is wrong: by 1e-3 over a million. Its own kernel on parts of the
batch, put together, is about as fast, and right to a millionth.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false
# Autograd functions are typed in part alone.

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

AT_ONCE = 4096
"""How many values of a channel are summed one after the other, about."""


def steady(model: nn.Module) -> nn.Module:
    """The model, whose batch norms of pictures do so; tensors keep their names."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            setattr(module, "forward", partial(_forward, module))  # noqa: B010
    return model


def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and the variance [C] of x [N, C, H, W], in float32."""
    values, channels = x.numel() // x.shape[1], x.shape[1]
    parts = x.split(max(1, AT_ONCE * len(x) // values))
    # By these torch keeps to float32 where x has half of it; at no momentum they stay as they are.
    mean, variance = x.new_zeros(channels, dtype=torch.float32), x.new_ones(channels, dtype=torch.float32)
    found = [torch.batch_norm_update_stats(part, mean, variance, 0.0) for part in parts]
    means, variances = (torch.stack(each) for each in zip(*found, strict=True))
    shares = torch.tensor([[len(part) / len(x)] for part in parts])
    mean = (means * shares).sum(0)
    return mean, ((variances + (means - mean).square()) * shares).sum(0)


def _forward(norm: Any, x: torch.Tensor) -> torch.Tensor:
    values = x.numel() // x.shape[1]
    if not norm.training or values == 1:  # which torch refuses
        return nn.BatchNorm2d.forward(norm, x)
    with torch.no_grad():
        mean, variance = statistics(x)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (values / (values - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    result: Any = _Normalized.apply(x, norm.weight, norm.bias, mean, variance, norm.eps)
    return result


class _Normalized(torch.autograd.Function):
    """A batch norm whose statistics are known, and are x's own."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: Any, bias: Any, mean: Any, variance: Any, eps: float
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, slopes: torch.Tensor) -> tuple[Any, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        slopes, wanted = slopes.contiguous(memory_format=torch.channels_last), list(ctx.needs_input_grad[:3])
        found = torch.ops.aten.native_batch_norm_backward(
            slopes, x, weight, None, None, mean, scale, True, ctx.eps, wanted
        )
        return *found, None, None, None
