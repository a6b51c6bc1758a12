"""The processes that torchrun starts, joined: Gloo between CPUs and for what is agreed on, NCCL between GPUs."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportPrivateImportUsage=false
# pyright: reportUnknownArgumentType=false
# torch.distributed is typed in part alone.

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import distributed

from archspec.diagnostics import Failure, UsageError

T = TypeVar("T")


class TorchProcessGroup:
    """Implements `archspec.backend.process_group.Group`."""

    def __init__(self) -> None:
        self.rank, self.world_size = distributed.get_rank(), distributed.get_world_size()

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def all_reduce(self, values: NDArray[Any]) -> NDArray[Any]:
        found = torch.tensor(values, dtype=torch.float64)
        with self.watching():
            distributed.all_reduce(found)
        return found.numpy()

    def all_gather(self, value: T) -> list[T]:
        found: list[Any] = [None] * self.world_size
        with self.watching():
            distributed.all_gather_object(found, value)
        return found

    def broadcast(self, value: T) -> T:
        found: list[Any] = [value]
        with self.watching():
            distributed.broadcast_object_list(found)
        return found[0]

    @contextmanager
    def watching(self) -> Generator[None]:
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
                raise
            if not self.is_main:
                raise SystemExit(1) from error
            help = "memory may have run out; --resume goes on from the last checkpoint"
            raise Failure("a process that trains with this one was lost", help) from error


@contextmanager
def joined() -> Generator[TorchProcessGroup]:
    """The group that the environment describes, and in it a GPU for this process where there are any."""
    backend = "gloo"
    if torch.cuda.is_available():
        _take_gpu(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    try:
        store, rank, ranks = next(distributed.rendezvous("env://"))
        # Restarted, torchrun may give the store of the time before, with the addresses of processes that are no more.
        # Over several machines the count tells them not apart: TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 gives a new one.
        alone = os.environ.get("GROUP_WORLD_SIZE", "1") == "1"
        count = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if alone else "0"
        store = distributed.PrefixStore(f"start {count}", store)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=ranks)
    except (RuntimeError, ValueError) as error:
        message = f"this process cannot join the others: {error}"
        raise Failure(message, "start them by torchrun, which says where they meet") from error
    yield TorchProcessGroup()
    # Not where it failed: what another process still waits for would have to be waited for.
    distributed.destroy_process_group()


def _take_gpu(local: int) -> None:
    count = torch.cuda.device_count()
    if local >= count:
        raise UsageError(
            f"process {local} of this machine has no GPU: there are {count}",
            f"--nproc-per-node {count}",
        )
    torch.cuda.set_device(local)


def summed(tensors: list[torch.Tensor]) -> None:
    """Replaces each tensor by its sum over the group, at one go."""
    if not tensors:
        return
    whole = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(whole)
    pieces = whole.split([tensor.numel() for tensor in tensors])
    for tensor, piece in zip(tensors, pieces, strict=True):
        tensor.copy_(piece.view(tensor.shape))
