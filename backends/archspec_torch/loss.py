"""The loss of a head in torch, as `archspec.reference.loss` defines it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from archspec.ir.graph import Head


def head_loss(head: Head, output: torch.Tensor, y: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Return the mean loss over the batch: output [N, *output] against labels y [N]."""
    if head.loss == "mse":
        return F.mse_loss(output, y)
    if head.loss == "cross_entropy":
        return F.cross_entropy(output, y, label_smoothing=smoothing)
    classes = output.shape[1]
    exact = y.reshape(output.shape) if classes == 1 else F.one_hot(y, classes).movedim(-1, 1)
    targets = exact.to(output.dtype) * (1 - smoothing) + smoothing / 2
    return F.binary_cross_entropy_with_logits(output, targets, reduction="none").sum(1).mean()
