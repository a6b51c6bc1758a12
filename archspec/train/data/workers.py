"""Results of worker processes, in the order of the steps; the one module that knows Grain."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from archspec._files import owned
from archspec.diagnostics import Failure, MissingPackage, UsageError, reason, writing
from archspec.train.guard import guarded_folder, semaphores_named_after, share_memory_as

Made = TypeVar("Made", bound="tuple[Any, ...]")

PREFETCH = 2
"""Results that each worker has ready."""
WORKERS_PER_CORE = 32
"""Workers that mostly wait for a network may be more than there are cores, up to here."""
GRACE = 5
"""Seconds that a worker has to end by itself."""


def map_steps(make: Callable[[int], Made], steps: range, workers: int) -> Generator[Made]:
    """Yield `make(step)` for each step in order, computed here or by worker processes.

    Workers pass arrays in shared memory. Close the generator to end them early.
    """
    yield from map(make, steps) if workers == 0 else _map_in_workers(make, steps, workers)


def _map_in_workers(make: Callable[[int], Made], steps: range, workers: int) -> Generator[Made]:
    try:
        import grain  # pyright: ignore[reportMissingTypeStubs]
        from absl import flags
        from cloudpickle import dumps  # pyright: ignore
    except ImportError:
        help = "pip install 'archspec-nn[train]', or use no workers"
        raise MissingPackage("worker processes need grain, which is not installed", help) from None
    if not flags.FLAGS.is_parsed():
        # Beside JAX, Grain 0.2.18 reads an option of its own: an error before absl has parsed any.
        flags.FLAGS.mark_as_parsed()
    with guarded_folder() as folder:
        path = folder / "make"
        is_ours = owned()
        with writing(path, "TMPDIR names another folder; without workers no file is needed"):
            path.write_bytes(dumps(make))
        dataset: Any = grain.MapDataset.range(steps.start, steps.stop).map(_PickledFunction(path))
        # A worker makes one result after the other: no threads.
        read_options = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=PREFETCH)
        results = dataset.to_iter_dataset(read_options).mp_prefetch(
            options, worker_init_fn=partial(_watch_parent, path)
        )
        with _explaining_refusals(workers), semaphores_named_after(folder):
            iterator = iter(results)
        try:
            with _block_signals(), _explaining_refusals(workers), semaphores_named_after(folder):
                # Start the workers now, and not some time later with the first batch.
                iterator.get_state()
                iterator.start_prefetch()
            # `yield from` would close the iterator first, while the file is still there.
            for element in iterator:  # noqa: UP028
                yield element
        except RuntimeError as error:
            if "terminated unexpectedly" not in str(error):
                raise
            message = "a process that prepares the data was ended from outside"
            help = "memory or shared memory (/dev/shm) may have run out: use fewer workers, or none"
            raise Failure(message, help) from error
        finally:
            if is_ours():
                path.unlink(missing_ok=True)
                iterator.close()


def check_workers(count: int) -> None:
    """Raise `UsageError` for a number of workers that cannot be meant."""
    cores = os.cpu_count() or 1
    most = WORKERS_PER_CORE * cores
    if not 0 <= count <= most:
        message = f"--workers is at least 0 and here at most {most:,}, found {count:,}"
        raise UsageError(message, f"this machine has {cores} processors: use about as many")


@contextmanager
def _explaining_refusals(workers: int) -> Generator[None]:
    """Turn what the system raises if it starts no more processes into `UsageError`."""
    try:
        yield
    except (OSError, MemoryError) as error:
        why = reason(error) if isinstance(error, OSError) else "not enough memory"
        message = f"{workers:,} worker processes cannot be started: {why}"
        raise UsageError(message, "use fewer --workers, or none") from error


@contextmanager
def _block_signals() -> Generator[None]:
    """Block SIGINT and SIGTERM in processes started inside; here they are only delayed.

    A terminal or a scheduler signals a whole process group, but ending the workers is the parent's
    task. They inherit the blocked mask, through Grain's threads, from their first moment on.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Started inside, the resource tracker would unblock the signals.
    resource_tracker.ensure_running()
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@dataclass(frozen=True)
class _PickledFunction:
    """A function that is read from a file when it is first called.

    A worker gets this through a pipe when it starts. If it got the function itself, which a pipe
    may not hold, and died before reading it, its parent would wait forever to write the rest.
    """

    path: Path

    def __call__(self, step: int) -> Any:
        return self._function(step)

    @cached_property
    def _function(self) -> Callable[[int], Any]:
        with self.path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - this run wrote it, where nobody else can


def _watch_parent(path: Path, _index: int, _count: int) -> None:
    share_memory_as(path.parent)
    Thread(target=_exit_after_parent, args=(path,), daemon=True).start()


def _exit_after_parent(path: Path) -> None:
    """End this worker with its parent, or some time after the file is gone if it is stuck then."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    with suppress(FileNotFoundError):
        while not wait([parent.sentinel], timeout=1):
            # Mark it as used: what tidies up old temporary files leaves it then.
            os.utime(path)
        os._exit(1)
    time.sleep(GRACE)
    os._exit(1)
