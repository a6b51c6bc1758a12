"""What worker processes make, in the order of its steps; the one place that knows Grain."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from threading import Thread
from typing import Any, TypeVar

from archspec.diagnostics import Failure

Made = TypeVar("Made", bound="tuple[Any, ...]")

AHEAD = 2
"""What each process has ready."""


def deliver(make: Callable[[int], Made], steps: range, workers: int) -> Iterator[Made]:
    """What `make` gives for each of those steps, made here, or by so many processes; arrays come in shared memory."""
    return map(make, steps) if workers == 0 else _delivered(make, steps, workers)


def _delivered(make: Callable[[int], Made], steps: range, workers: int) -> Iterator[Made]:
    try:
        import grain  # pyright: ignore[reportMissingTypeStubs]
        from absl import flags
    except ImportError:
        message = "worker processes need grain, which is not installed"
        raise Failure(message, "pip install 'archspec-nn[train]', or take no workers", 3) from None
    if not flags.FLAGS.is_parsed():
        # Beside JAX, Grain 0.2.18 reads an option of its own, which is an error before absl has parsed any.
        flags.FLAGS.mark_as_parsed()
    made: Any = grain.MapDataset.range(steps.start, steps.stop).map(make)
    # A worker makes one after the other: no threads.
    made = made.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
    iterator = iter(made.mp_prefetch(options, worker_init_fn=_begin))
    try:
        yield from iterator
    except RuntimeError as error:
        if "terminated unexpectedly" not in str(error):
            raise
        help = "memory may have run out, shared memory (/dev/shm) too: take fewer workers, or none"
        raise Failure("a process that prepares the data was ended from outside", help) from error
    finally:
        iterator.close()


def _begin(_index: int, _count: int) -> None:
    """In a worker: an interrupt is for the parent, which ends its workers; where it is killed, they end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
