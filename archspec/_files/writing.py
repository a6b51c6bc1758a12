"""Write files and folders whole or not at all.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "notes.txt"
...     write_text(path, "whole")
...     path.read_text(), len(list(path.parent.iterdir()))
('whole', 1)

Everything is written beside its destination first, flushed to the disk, then renamed onto it. A
failure removes the staged data and leaves the destination as it was. Staged names start with a dot,
so that a process that is killed outright leaves nothing that could be taken for a result. A process
that is forked meanwhile, and ends on its own, removes nothing. A staged folder is held by its
process: the next one to write there knows it by that for a leftover.
"""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from archspec._files.held import held_folder, remove_leftovers
from archspec._files.reading import check_file
from archspec._files.scratch import owned
from archspec._signals import interrupt_on_sigterm
from archspec.diagnostics import quote

TOKEN_BYTES = 8
"""Random bytes in the name of what is staged."""
MAX_STEM = 40
"""Characters of a name that its staged name repeats; at four bytes each they still fit."""


@contextmanager
def atomic_file(path: Path) -> Generator[IO[bytes]]:
    """Open a file for writing that replaces `path` when the block ends without an error.

    The new file has the mode that the umask gives. Raise `OSError` if it cannot be written, or if
    `path` is there and is no file.
    """
    check_destination(path)
    staged = _staged_path(path)
    is_ours = owned()
    try:
        with staged.open("xb") as file:
            try:
                yield file
            except BaseException:
                if not is_ours():
                    _discard_buffer(file)
                raise
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    finally:
        if is_ours():
            staged.unlink(missing_ok=True)


def _discard_buffer(file: IO[bytes]) -> None:
    """Have what a forked process copied of its parent's buffer written nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, file.fileno())
    os.close(nowhere)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raise `OSError` if it cannot be written."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str, errors: str = "strict") -> None:
    """Write a file of UTF-8 whole or not at all; `errors` is for characters that UTF-8 lacks."""
    write_bytes(path, content.encode("utf-8", errors))


@contextmanager
def staging_folder(destination: Path, on_note: Callable[[str], object] = str) -> Generator[Path]:
    """Make a folder beside `destination`, and remove it, with what is still in it, on exit.

    SIGTERM ends the block as Ctrl-C does, so that a scheduler's notice leaves nothing behind. What
    processes left that were killed outright is removed first, with a note for each.
    """
    stem = glob.escape(destination.name[:MAX_STEM])
    for path in remove_leftovers(destination.parent, f".{stem}.{'[0-9a-f]' * 2 * TOKEN_BYTES}"):
        on_note(f"note: removed {quote(path)}, which a killed process left")
    with interrupt_on_sigterm(), held_folder(_staged_path(destination)) as staging:
        yield staging


def check_destination(path: Path) -> None:
    """Raise `OSError` if a folder, pipe, socket or device is in the place of a file to write.

    A rename would replace it, `/dev/null` too.
    """
    with suppress(FileNotFoundError):
        check_file(path)


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


def _staged_path(path: Path) -> Path:
    # A path such as `.` has no name that `with_name` could replace.
    return path.parent / f".{path.name[:MAX_STEM]}.{secrets.token_hex(TOKEN_BYTES)}"
