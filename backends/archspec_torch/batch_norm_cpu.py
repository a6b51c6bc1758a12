"""Batch norm on CPUs where channels lie last, with statistics that hold however many values there are.

Torch 2.13 sums a channel's values one after the other there, in float32. The more there are, and the larger their mean
is beside their spread, the more a batch norm's output is wrong: by 1e-3 over a million. Its own kernel on parts of
them, put together, is about as fast, and right to a few millionths of what the values are.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportIncompatibleMethodOverride=false
# Autograd functions are typed in part alone.

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

AT_ONCE = 16384
"""How many values of a channel are summed one after the other, at most."""


def steady(model: nn.Module) -> nn.Module:
    """The model, whose batch norms of pictures do so; tensors keep their names."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            setattr(module, "forward", partial(_forward, module))  # noqa: B010
    return model


def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and the variance [C] of x [N, C, H, W], in float32."""
    values, channels = x.numel() // x.shape[1], x.shape[1]
    parts = _parts(values)
    # Values that lie beside each other become channels: those of a channel are shared out, and nothing is moved.
    shared = (
        x.permute(0, 2, 3, 1).reshape(1, values // parts, 1, parts * channels).permute(0, 3, 1, 2)
    )
    # By these torch keeps to float32 where x has half of it; at no momentum they stay as they are.
    kept = (
        x.new_zeros(parts * channels, dtype=torch.float32),
        x.new_ones(parts * channels, dtype=torch.float32),
    )
    means, variances = (
        each.view(parts, channels)
        for each in torch.batch_norm_update_stats(shared, *kept, momentum=0.0)
    )
    between, mean = torch.var_mean(means, 0, correction=0)
    return mean, variances.mean(0) + between


@lru_cache
def _parts(values: int) -> int:
    """The least number of equal parts, none of them over `AT_ONCE`."""
    return next(parts for parts in range(-(-values // AT_ONCE), values + 1) if values % parts == 0)


def _forward(norm: Any, x: torch.Tensor) -> torch.Tensor:
    values = x.numel() // x.shape[1]
    if not norm.training or values <= AT_ONCE:
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
        slopes, wanted = (
            slopes.contiguous(memory_format=torch.channels_last),
            list(ctx.needs_input_grad[:3]),
        )
        found = torch.ops.aten.native_batch_norm_backward(
            slopes, x, weight, None, None, mean, scale, True, ctx.eps, wanted
        )
        return *found, None, None, None
