"""Temporary folders that only the process that made them removes.

`tempfile.TemporaryDirectory` is removed by whichever process ends first: by one that was forked
meanwhile too, as a web server or a test runner forks.

>>> with scratch_folder() as folder:
...     folder.is_dir()
True
>>> folder.exists()
False
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "archspec-"


def owned() -> Callable[[], bool]:
    """Return a function that tells whether it is called in the process that made it."""
    owner = os.getpid()
    return lambda: os.getpid() == owner


@contextmanager
def scratch_folder(parent: Path | None = None, prefix: str = PREFIX) -> Generator[Path]:
    """Make a folder for the block, in the system's temporary folder or in `parent`."""
    is_ours = owned()
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        if is_ours():
            remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as the system lets us."""
    shutil.rmtree(folder, ignore_errors=True)
