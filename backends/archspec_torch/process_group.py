"""The processes that torchrun starts: Gloo between CPUs and for agreements, NCCL between GPUs."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportPrivateImportUsage=false
# Torch types `torch.distributed` only in part.

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
    """Implements `archspec.backend.process_group.ProcessGroup`."""

    def __init__(self) -> None:
        self.rank = distributed.get_rank()
        self.world_size = distributed.get_world_size()

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def all_reduce(self, values: NDArray[Any]) -> NDArray[Any]:
        total = torch.tensor(values, dtype=torch.float64)
        with self.handle_lost_peers():
            distributed.all_reduce(total)
        return total.numpy()

    def all_gather(self, value: T) -> list[T]:
        values: list[Any] = [None] * self.world_size
        with self.handle_lost_peers():
            distributed.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        values: list[Any] = [value]
        with self.handle_lost_peers():
            distributed.broadcast_object_list(values)
        return values[0]

    @contextmanager
    def handle_lost_peers(self) -> Generator[None]:
        try:
            yield
        except RuntimeError as error:
            # Gloo reports a lost connection as a plain RuntimeError.
            if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
                raise
            if not self.is_main:
                raise SystemExit(1) from error
            help = "memory may have run out; --resume continues from the last checkpoint"
            raise Failure("a process that trains with this one was lost", help) from error


@contextmanager
def init_process_group() -> Generator[TorchProcessGroup]:
    """Join the group that torchrun's environment describes; on GPUs, take one of them."""
    backend = "gloo"
    if torch.cuda.is_available():
        _select_gpu(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    try:
        store, rank, world_size = next(distributed.rendezvous("env://"))
        distributed.init_process_group(
            backend, store=_fresh_store(store), rank=rank, world_size=world_size
        )
    except (RuntimeError, ValueError) as error:
        message = f"this process cannot join the others: {error}"
        raise Failure(message, "start them by torchrun, which says where they meet") from error
    yield TorchProcessGroup()
    # Only on success: after a failure, leaving would wait for whatever the others still wait for.
    distributed.destroy_process_group()


def _fresh_store(store: Any) -> Any:
    """Return a view of torchrun's store without what earlier starts of the group wrote.

    After a restart, torchrun may hand out the same store, with addresses of processes that are
    gone. The count of restarts tells starts apart on one machine. It does not on several: there,
    TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 gives a new store.
    """
    restarts = "0"
    if os.environ.get("GROUP_WORLD_SIZE", "1") == "1":
        restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return distributed.PrefixStore(f"start {restarts}", store)


def _select_gpu(local_rank: int) -> None:
    count = torch.cuda.device_count()
    if local_rank >= count:
        message = f"process {local_rank} of this machine has no GPU: there are {count}"
        raise UsageError(message, f"--nproc-per-node {count}")
    torch.cuda.set_device(local_rank)
