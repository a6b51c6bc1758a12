"""A guard over what a run keeps outside its folder: temporary files, and memory of its workers.

>>> with guarded_folder() as folder:
...     folder.is_dir()
True
>>> folder.exists()
False

Both have the name of one temporary folder, which the run holds. A process outside the run's process
group removes them if all of that is killed. If that process is killed too, as when a container
ends, the next run finds that nobody holds the folder and removes both.
"""

from __future__ import annotations

import multiprocessing
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

from archspec._files import held_folder, owned, remove_leftovers
from archspec.diagnostics import quote

PREFIX = "archspec-run-"
SHARED_MEMORY = Path("/dev/shm")
GUARD = """
import glob, os, shutil, sys, time
folder, memory, semaphores = sys.argv[1:]
patterns = [memory] if sys.stdin.buffer.read() else [memory, semaphores]
def left():
    return [path for pattern in patterns for path in glob.glob(pattern)]
for _ in range(10):
    for path in left():
        try:
            os.unlink(path)
        except OSError:
            pass
    shutil.rmtree(folder, ignore_errors=True)
    if not os.path.exists(folder) and not left():
        break
    time.sleep(1)
"""
"""Waits for the end of its standard input, which is that of the run, then removes what is left.

Workers end within seconds after the run, and may share memory until then. A run that ends by itself
says so: Python removes its semaphores, and would complain of one that is gone.
"""


@contextmanager
def guarded_folder() -> Generator[Path]:
    """Make a temporary folder, and remove it on exit, with the memory shared under its name."""
    is_ours = owned()
    path = Path(tempfile.gettempdir(), PREFIX + secrets.token_hex(8))
    with _guard(path), held_folder(path, 0o700):
        try:
            yield path
        finally:
            if is_ours():
                _unlink(f"{path.name}.*")


def share_memory_as(folder: Path) -> None:
    """Have this process name the memory that it shares after a guarded folder."""

    def make_name() -> str:
        return f"/{folder.name}.{secrets.token_hex(8)}"

    # Python has no public way to name what a library shares.
    setattr(shared_memory, "_make_filename", make_name)  # noqa: B010


@contextmanager
def semaphores_named_after(folder: Path) -> Generator[None]:
    """Name the semaphores that this process makes in the block after a guarded folder."""
    if not SHARED_MEMORY.is_dir():  # other systems allow short names only
        yield
        return
    # Python has no public way for this either.
    config: dict[str, Any] = getattr(multiprocessing.current_process(), "_config")  # noqa: B009
    previous = config["semprefix"]
    config["semprefix"] = f"/{folder.name}"
    try:
        yield
    finally:
        config["semprefix"] = previous


def remove_leftovers_of_runs() -> list[str]:
    """Remove what killed runs of this user left; return a note for each of them."""
    notes: list[str] = []
    for folder in remove_leftovers(Path(tempfile.gettempdir()), f"{PREFIX}*[0-9a-f]"):
        size = _unlink(*_shared_names(folder.name))
        shared = f" with {size:,} bytes of shared memory" if size else ""
        notes.append(f"note: removed {quote(folder)}{shared}, which a killed run left")
    return notes


@contextmanager
def _guard(folder: Path) -> Generator[None]:
    """Have a process outside this process group watch over a folder to come."""
    if not SHARED_MEMORY.is_dir():
        yield
        return
    patterns = [SHARED_MEMORY / pattern for pattern in _shared_names(folder.name)]
    command = [sys.executable, "-I", "-S", "-c", GUARD, folder, *patterns]
    nowhere = subprocess.DEVNULL
    guard = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    is_ours = owned()
    try:
        yield
    finally:
        if is_ours():
            with suppress(BrokenPipeError):  # it was killed
                guard.communicate(b"ended")


def _unlink(*names: str) -> int:
    """Remove what is shared under these names, which are patterns; return its bytes."""
    size = 0
    for path in (path for pattern in names for path in SHARED_MEMORY.glob(pattern)):
        with suppress(OSError):
            size += path.stat().st_size
            path.unlink()
    return size


def _shared_names(name: str) -> tuple[str, str]:
    """Return the patterns of the memory and of the semaphores that are shared under a name."""
    return f"{name}.*", f"sem.{name}-*"
