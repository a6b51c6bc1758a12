"""The sum of gradients over processes, by torch's `DistributedDataParallel`.

It sends each bucket of gradients while the backward pass computes the next.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownLambdaType=false
# pyright: reportPrivateImportUsage=false
# Torch types `torch.distributed` only in part. It reads the annotations of a hook, so that they are
# not left as text by `from __future__ import annotations`.

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


class TrainingPass:
    """The model as a microbatch passes through it in training: compiled, or summing gradients."""

    def __init__(self, model: nn.Module, *, compile: bool) -> None:
        self.model: Any = model
        self.sums: DistributedDataParallel | None = None
        self.compile = compile
        self.compiled: Any = torch.compile(model) if compile else model

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """From now on, sum these parameters' gradients over all processes."""
        if parameters:
            self.model = self.sums = _distribute(self.model, parameters)
            self.compiled = torch.compile(self.sums) if self.compile else self.sums

    def forward(self, x: torch.Tensor, *, all_have_samples: bool) -> Any:
        """Return the outputs for a microbatch.

        Torch compiles no convolution of an empty batch (2.13). Where a process has no sample, all
        compute uncompiled: the order of their sums has to be one.
        """
        return self.compiled(x) if all_have_samples else self.model(x)

    def accumulate(self, *, more: bool) -> AbstractContextManager[None]:
        """Return the block of a microbatch; gradients are not yet summed if `more` follow."""
        if hasattr(self.model, "set_requires_gradient_sync"):  # sharded: an `FSDPModule`
            self.model.set_requires_gradient_sync(not more)
        return self.sums.no_sync() if self.sums is not None and more else nullcontext()


def _distribute(model: nn.Module, parameters: Sequence[nn.Parameter]) -> DistributedDataParallel:
    """Return the model with the sum of these parameters' gradients in its backward pass.

    Each of them has to get a gradient in every step: torch waits for all that it knows of.
    """
    known = inspect.signature(DistributedDataParallel).parameters
    renamed = "forward_sync_buffers"  # since torch 2.13
    # Running statistics need no sending: all processes compute the same.
    options: dict[str, Any] = {renamed if renamed in known else "broadcast_buffers": False}
    chosen = set(parameters)
    others = [p for p in model.parameters() if p.requires_grad and p not in chosen]
    for parameter in others:
        parameter.requires_grad_(False)
    wrapped = DistributedDataParallel(model, gradient_as_bucket_view=True, **options)
    for parameter in others:
        parameter.requires_grad_()
    wrapped.register_comm_hook(None, _sum_bucket)
    return wrapped


def _sum_bucket(_: Any, bucket: distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
    """Sum a bucket: the mean, torch's default, would give samples of a small share more weight."""
    work: Any = distributed.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])
