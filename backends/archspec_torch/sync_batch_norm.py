"""Batch norm by the statistics of a whole batch that is spread over several processes."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateImportUsage=false
# pyright: reportIncompatibleMethodOverride=false
# Torch types `torch.distributed` and its autograd functions only in part.

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import distributed, nn
from torch.nn import functional as F


def synchronize_batch_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model with batch norms over all processes; tensors keep their names."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():  # PyTorch's own is for GPUs only
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            setattr(module, "forward", partial(_forward, module))  # noqa: B010
    return model


@torch.compiler.disable
def _forward(norm: Any, x: torch.Tensor) -> torch.Tensor:
    if not norm.training:
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    values = x.float()
    axes = [0, *range(2, x.ndim)]
    channel_shape = [-1] + [1] * (x.ndim - 2)
    # The number of values travels with the sums: a process may have none.
    local_count = values.new_tensor([values.numel() // values.shape[1]])
    totals: Any = _Sum.apply(torch.cat([values.sum(axes), local_count]))
    count = totals[-1]
    mean: Any = totals[:-1] / count
    centred = values - mean.view(channel_shape)
    variance: Any = _Sum.apply(centred.square().sum(axes)) / count
    scale = torch.rsqrt(variance + norm.eps)
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    if not norm.affine:
        return (centred * scale.view(channel_shape)).to(x.dtype)
    scaled = centred * (scale * norm.weight).view(channel_shape)
    return (scaled + norm.bias.view(channel_shape)).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes, of values and of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad_output: torch.Tensor) -> torch.Tensor:
        total = grad_output.contiguous().clone()
        distributed.all_reduce(total)
        return total
