"""Folders that their process holds, so that those of killed processes are known for leftovers.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as parent, held_folder(Path(parent, "held")) as folder:
...     Path(parent, "left").mkdir()
...     [path.name for path in remove_leftovers(Path(parent), "*")]
['left']
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from archspec._files.locks import folder_lock, folder_lock_if_free
from archspec._files.scratch import owned, remove_folder


@contextmanager
def held_folder(path: Path, mode: int = 0o777) -> Generator[Path]:
    """Make a folder that this process holds, and remove it, with what is still in it, on exit.

    It has its name only once it is locked, so that `remove_leftovers` never takes it for one.
    """
    is_ours = owned()
    unnamed = path.with_name(f"{path.name}.new")
    unnamed.mkdir(mode)
    try:
        with folder_lock(unnamed, wait=False):
            unnamed.rename(path)
            try:
                yield path
            finally:
                if is_ours():
                    remove_folder(path)
    finally:
        if is_ours():
            remove_folder(unnamed)


def remove_leftovers(folder: Path, pattern: str) -> list[Path]:
    """Remove the folders of these names that were made by `held_folder` and that nobody holds.

    Return their paths. Those of other users stay, and all where a file system has no locks.
    """
    removed: list[Path] = []
    for path in sorted(folder.glob(pattern)):
        with suppress(OSError):
            if path.is_symlink() or not path.is_dir():
                continue
            with folder_lock_if_free(path) as is_free:
                # Windows has no locks, and no `getuid`.
                if is_free and path.stat().st_uid == os.getuid():
                    shutil.rmtree(path)
                    removed.append(path)
    return removed
