"""Batches from worker processes, in the order of their steps; the one place that knows Grain."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from threading import Thread
from typing import Any

import numpy as np

from archspec.diagnostics import Failure
from archspec.train.data.batch import Batch

AHEAD = 2
"""Batches that each process has ready."""


def deliver(batches: Callable[[int], Batch], steps: range, workers: int) -> Iterator[Batch]:
    """The batches of those steps, made here, or by so many processes."""
    return map(batches, steps) if workers == 0 else _delivered(batches, steps, workers)


def _delivered(batches: Callable[[int], Batch], steps: range, workers: int) -> Iterator[Batch]:
    try:
        import grain  # pyright: ignore[reportMissingTypeStubs]
        from absl import flags
    except ImportError:
        message = "worker processes need grain, which is not installed"
        raise Failure(message, "pip install 'archspec-nn[train]', or take no workers", 3) from None
    if not flags.FLAGS.is_parsed():
        # Beside JAX, Grain 0.2.18 reads an option of its own, which is an error before absl has parsed any.
        flags.FLAGS.mark_as_parsed()
    made: Any = grain.MapDataset.range(steps.start, steps.stop).map(_Arrays(batches))
    # A worker makes its batches one by one: no threads.
    made = made.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
    iterator = iter(made.mp_prefetch(options, worker_init_fn=_begin))
    try:
        for x, y, bad in iterator:
            yield Batch(np.asarray(x), np.asarray(y), tuple(bad))
    except RuntimeError as error:
        if "terminated unexpectedly" not in str(error):
            raise
        help = "memory may have run out, shared memory (/dev/shm) too: take fewer workers, or none"
        raise Failure("a process that prepares the data was ended from outside", help) from error
    finally:
        iterator.close()


@dataclass(frozen=True)
class _Arrays:
    """A batch as the tuple whose arrays Grain hands over in shared memory."""

    batches: Callable[[int], Batch]

    def __call__(self, step: int) -> tuple[Any, Any, tuple[str, ...]]:
        batch = self.batches(step)
        return batch.x, batch.y, batch.bad


def _begin(_index: int, _count: int) -> None:
    """In a worker: an interrupt is for the parent, which ends its workers; where it is killed, they end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
