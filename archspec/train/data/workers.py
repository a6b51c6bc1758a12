"""What worker processes make, in the order of its steps; the one place that knows Grain."""

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
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, TypeVar

from archspec.diagnostics import Failure, MissingPackage, writing

Made = TypeVar("Made", bound="tuple[Any, ...]")

AHEAD = 2
"""What each process has ready."""
GRACE = 5
"""Seconds that a process has to end by itself."""


def deliver(make: Callable[[int], Made], steps: range, workers: int) -> Generator[Made]:
    """What `make` gives for each of those steps, made here, or by so many processes; arrays come in shared memory.

    Close it to end the processes early.
    """
    yield from map(make, steps) if workers == 0 else _delivered(make, steps, workers)


def _delivered(make: Callable[[int], Made], steps: range, workers: int) -> Generator[Made]:
    try:
        import grain  # pyright: ignore[reportMissingTypeStubs]
        from absl import flags
        from cloudpickle import dumps  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
    except ImportError:
        message = "worker processes need grain, which is not installed"
        raise MissingPackage(
            message, "pip install 'archspec-nn[train]', or take no workers"
        ) from None
    if not flags.FLAGS.is_parsed():
        # Beside JAX, Grain 0.2.18 reads an option of its own, which is an error before absl has parsed any.
        flags.FLAGS.mark_as_parsed()
    with TemporaryDirectory(prefix="archspec-") as folder:
        path = Path(folder, "make")
        with writing(path, "TMPDIR names another folder; without workers no file is needed"):
            path.write_bytes(dumps(make))
        made: Any = grain.MapDataset.range(steps.start, steps.stop).map(_Kept(path))
        # A worker makes one after the other: no threads.
        made = made.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=AHEAD)
        iterator = iter(made.mp_prefetch(options, worker_init_fn=partial(_begin, path)))
        try:
            with _unsignalled():
                iterator.get_state()  # makes what starts them, as the first batch would do some time later
                iterator.start_prefetch()
            for element in iterator:  # noqa: UP028 - `yield from` would close it first, while the file is there
                yield element
        except RuntimeError as error:
            if "terminated unexpectedly" not in str(error):
                raise
            help = (
                "memory may have run out, shared memory (/dev/shm) too: take fewer workers, or none"
            )
            raise Failure(
                "a process that prepares the data was ended from outside", help
            ) from error
        finally:
            path.unlink(missing_ok=True)
            iterator.close()


@contextmanager
def _unsignalled() -> Generator[None]:
    """Processes that begin within never see a signal to stop, which a terminal or a scheduler sends to all of a group.

    It is for their parent, which ends them. That it is blocked they inherit, through Grain's threads, and so have from
    their first moment on; here it is only delayed.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # else it is started within, which unblocks signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class _Kept:
    """What is made by a function that lies in a file.

    A process is given this through a pipe when it starts. Of more than a pipe holds its parent would wait for ever to
    be rid, where the process dies before it reads.
    """

    path: Path

    def __call__(self, step: int) -> Any:
        return self._make(step)

    @cached_property
    def _make(self) -> Callable[[int], Any]:
        with self.path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - this run wrote it, where nobody else can


def _begin(path: Path, _index: int, _count: int) -> None:
    Thread(target=_end, args=(path,), daemon=True).start()


def _end(path: Path) -> None:
    """In a worker: ends it with its parent, and some time after the file is gone where it is stuck then."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    with suppress(FileNotFoundError):
        while not wait([parent.sentinel], timeout=1):
            os.utime(path)  # in use: what tidies up old files leaves it
        os._exit(1)
    time.sleep(GRACE)
    os._exit(1)
