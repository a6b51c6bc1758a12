"""Open what is a file and will end: not a directory, pipe, socket or device.

Reading from a pipe waits for somebody to write, and a device may never end. Only what a shell opens
for a command is taken as it is: `/dev/stdin`, and `/dev/fd/63` as in `archspec check <(make-spec)`.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
_STREAMS = ("/dev/fd/", "/proc/self/fd/")


def check_file(path: Path) -> None:
    """Raise `OSError` if `path` is not a file; for what a library is going to open."""
    _check_mode(path.stat().st_mode)


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading; raise `OSError` if it is none, or cannot be read."""
    if str(path) == "/dev/stdin" or str(path).startswith(_STREAMS):
        return path.open("rb")
    # Opening a device can have effects of its own, so look first; then look at what was opened.
    check_file(path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _check_mode(os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, limit: int = -1) -> bytes:
    """Return the content of a file, at most `limit` bytes; raise `OSError` if it cannot be read."""
    with open_file(path) as file:
        return file.read(limit)


def _check_mode(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "device")
        number = errno.EISDIR if kind == "directory" else errno.EINVAL
        raise OSError(number, f"it is a {kind}, not a file")
