"""Accurate batch norm statistics on CPUs with channels last.

Torch 2.13 sums the values of a channel one after the other there, in float32. The error grows with
their number, and with their mean relative to their spread: a batch norm's output is off by 1e-3
over a million values. Torch's own kernel on chunks of the values, with the results combined, is
about as fast, and its relative error is a few millionths.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportIncompatibleMethodOverride=false
# Torch types its autograd functions only in part.

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

CHUNK = 16384
"""The largest number of a channel's values that are summed one after the other."""


def use_accurate_statistics(model: nn.Module) -> nn.Module:
    """Change the 2D batch norms of a model in place, and return it; tensors keep their names."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            setattr(module, "forward", partial(_forward, module))  # noqa: B010
    return model


def batch_statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and variance of each channel of x [N, C, H, W], both [C] in float32."""
    channels = x.shape[1]
    values = x.numel() // channels
    chunks = _chunk_count(values)
    # Treat neighbouring values as channels of their own: this divides each channel into chunks
    # without moving anything in memory.
    chunked = x.permute(0, 2, 3, 1).reshape(1, values // chunks, 1, chunks * channels)
    # Running statistics in float32 make torch compute in float32 for a half-precision x. A momentum
    # of 0 leaves them unchanged.
    unused_mean = x.new_zeros(chunks * channels, dtype=torch.float32)
    unused_var = x.new_ones(chunks * channels, dtype=torch.float32)
    means, variances = (
        statistic.view(chunks, channels)
        for statistic in torch.batch_norm_update_stats(
            chunked.permute(0, 3, 1, 2), unused_mean, unused_var, momentum=0.0
        )
    )
    between_chunks, mean = torch.var_mean(means, 0, correction=0)
    return mean, variances.mean(0) + between_chunks


@lru_cache
def _chunk_count(values: int) -> int:
    """Return the smallest number of equal chunks of at most `CHUNK` values."""
    fewest = -(-values // CHUNK)
    return next(count for count in range(fewest, values + 1) if values % count == 0)


def _forward(norm: Any, x: torch.Tensor) -> torch.Tensor:
    values = x.numel() // x.shape[1]
    if not norm.training or values <= CHUNK:
        return nn.BatchNorm2d.forward(norm, x)
    with torch.no_grad():
        mean, variance = batch_statistics(x)
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (values / (values - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    result: Any = _NormalizeByBatch.apply(x, norm.weight, norm.bias, mean, variance, norm.eps)
    return result


class _NormalizeByBatch(torch.autograd.Function):
    """Normalisation by given statistics, differentiated as the statistics of x that they are."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: Any, bias: Any, mean: Any, variance: Any, eps: float
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> tuple[Any, ...]:
        x, weight, mean, inverse_std = ctx.saved_tensors
        grad_output = grad_output.contiguous(memory_format=torch.channels_last)
        output_mask = list(ctx.needs_input_grad[:3])
        gradients = torch.ops.aten.native_batch_norm_backward(
            grad_output, x, weight, None, None, mean, inverse_std, True, ctx.eps, output_mask
        )
        return *gradients, None, None, None
