"""Write files and folders whole or not at all, and lock a folder.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "notes.txt"
...     write_text(path, "whole")
...     path.read_text(), len(list(path.parent.iterdir()))
('whole', 1)

Everything is written beside its destination first, flushed to the disk, then renamed onto it. A
failure removes the staged data and leaves the destination as it was. Staged names start with a dot,
so that a process that is killed outright leaves nothing that could be taken for a result.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

MAX_STEM = 40
"""Characters of a name that its staged name repeats; at four bytes each they still fit."""


@contextmanager
def atomic_file(path: Path) -> Generator[IO[bytes]]:
    """Open a file for writing that replaces `path` when the block ends without an error.

    The new file has the mode that the umask gives. Raise `OSError` if it cannot be written.
    """
    staged = _staged_path(path)
    try:
        with staged.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raise `OSError` if it cannot be written."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str, errors: str = "strict") -> None:
    """Write a file of UTF-8 whole or not at all; `errors` is for characters that UTF-8 lacks."""
    write_bytes(path, content.encode("utf-8", errors))


@contextmanager
def staging_folder(destination: Path) -> Generator[Path]:
    """Make a folder beside `destination`, and remove it, with what is still in it, on exit.

    SIGTERM ends the block as Ctrl-C does, so that a scheduler's notice leaves nothing behind.
    """
    staging = _staged_path(destination)
    with _sigterm_interrupts():
        staging.mkdir()
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def flush_folder(folder: Path) -> None:
    """Put the content of a folder's files onto the disk.

    Otherwise a machine that goes down after a rename would leave names without their content.
    """
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def move_files(staging: Path, folder: Path, last: str) -> None:
    """Move the files of a staged folder into `folder`, over those of the same names.

    The file called `last` comes last: the others count only once it is there.
    """
    for path in sorted(staging.iterdir(), key=lambda path: path.name == last):
        path.replace(folder / path.name)


@contextmanager
def folder_lock(folder: Path, wait: bool = True) -> Generator[None]:
    """Hold a lock on a folder: no other process or thread holds it during the block.

    Without `wait`, raise `BlockingIOError` if another holds it. The lock leaves no file behind and
    ends with its process. It does nothing where the system or the file system has no locks.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


def _staged_path(path: Path) -> Path:
    # A path such as `.` has no name that `with_name` could replace.
    return path.parent / f".{path.name[:MAX_STEM]}.{secrets.token_hex(8)}"


@contextmanager
def _sigterm_interrupts() -> Generator[None]:
    """Turn SIGTERM into KeyboardInterrupt during the block, unless the caller handles it."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second notice must not stop the cleaning up
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
