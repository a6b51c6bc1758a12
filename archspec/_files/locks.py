"""A lock on a folder, held by one process and by no copy of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_held: set[int] = set()
"""The descriptors of the locks that this process holds."""


@contextmanager
def folder_lock(folder: Path, wait: bool = True) -> Generator[None]:
    """Hold a lock on a folder: no other process or thread holds it during the block.

    Without `wait`, raise `BlockingIOError` if another holds it. The lock leaves no file behind and
    ends with its process, whatever was forked from that. It does nothing where the system or the
    file system has no locks.
    """
    with _locked(folder, wait=wait) as refusal:
        if isinstance(refusal, BlockingIOError):
            raise refusal
        yield


@contextmanager
def folder_lock_if_free(folder: Path) -> Generator[bool]:
    """Lock a folder if nobody holds it; yield whether this process holds it now.

    It does not where the system or the file system has no locks.
    """
    with _locked(folder, wait=False) as refusal:
        yield refusal is None


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Generator[OSError | None]:
    """Lock a folder during the block; yield the reason if it cannot be locked."""
    if fcntl is None:
        yield OSError(errno.ENOTSUP, "the system has no locks")
        return
    descriptor = os.open(folder, os.O_RDONLY)
    _held.add(descriptor)
    refusal: OSError | None = None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            refusal = error
        yield refusal
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def _leave_to_parent() -> None:
    """Close the copies of the parent's locks, which would outlive it in a forked process."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
