"""Batch norm by the statistics of the whole batch, where several processes have a share of it each."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportPrivateImportUsage=false
# pyright: reportUnknownArgumentType=false, reportIncompatibleMethodOverride=false
# torch.distributed and autograd functions are typed in part alone.

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import distributed, nn
from torch.nn import functional as F


def synchronized(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, whose batch norms take their statistics over all processes; tensors keep their names."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():  # PyTorch's own is for GPUs alone
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            setattr(module, "forward", partial(_forward, module))  # noqa: B010
    return model


@torch.compiler.disable
def _forward(norm: Any, x: torch.Tensor) -> torch.Tensor:
    if not norm.training:
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )
    values, axes, shape = x.float(), [0, *range(2, x.ndim)], [-1] + [1] * (x.ndim - 2)
    counted = values.new_tensor([values.numel() // values.shape[1]])
    whole: Any = _Sum.apply(torch.cat([values.sum(axes), counted]))
    count = whole[-1]
    mean: Any = whole[:-1] / count
    centred = values - mean.view(shape)
    variance: Any = _Sum.apply(centred.square().sum(axes)) / count
    scale = torch.rsqrt(variance + norm.eps)
    with torch.no_grad():
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        norm.num_batches_tracked += 1
    if norm.affine:
        return (centred * (scale * norm.weight).view(shape) + norm.bias.view(shape)).to(x.dtype)
    return (centred * scale.view(shape)).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes, of the values and of what is derived by them."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        found = values.clone()
        distributed.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, slopes: torch.Tensor) -> torch.Tensor:
        found = slopes.contiguous().clone()
        distributed.all_reduce(found)
        return found
