"""Put a build in place: staged, then moved, so that other files are not touched."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from importlib.util import cache_from_source
from pathlib import Path

from archspec._files import flush_folder, folder_lock, move_files, staging_folder
from archspec.build_folder.manifest import MANIFEST, file_digest, read_manifest
from archspec.diagnostics import Failure, quote, reason


def replace_folder(
    folder: Path, fill: Callable[[Path], None], on_note: Callable[[str], object] = str
) -> Path:
    """Have `fill` write into a new folder, then put that in the place of `folder`.

    A failure leaves everything as it was. Builds that end at the same time are put in place one
    after the other, each of them whole. `on_note` is called with a note for each leftover of a
    killed process that is removed. Raise `Failure` if `folder` holds anything but a build.
    """
    # Beside a path such as `.` would be inside it.
    place = folder if folder.name not in ("", "..") else folder.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with folder_lock(place.parent):  # a build that is half in place looks like an edited one
            check_replaceable(place)
        with staging_folder(place, on_note) as staging:
            fill(staging)
            flush_folder(staging)
            with folder_lock(place.parent):
                _put_in_place(staging, place)
    except OSError as error:
        raise Failure(
            f"cannot write {quote(folder)}: {reason(error)}", "nothing was changed"
        ) from error
    return folder


def _put_in_place(staging: Path, folder: Path) -> None:
    """Rename a staged build to `folder`, or replace the files of the build that is there.

    The user's own files beside them stay.
    """
    replaced = check_replaceable(folder)  # another build may have come first
    if replaced is None:
        staging.rename(folder)
        return
    names = {path.name for path in staging.iterdir()}
    in_the_way = [name for name in sorted(names - replaced) if os.path.lexists(folder / name)]
    if in_the_way:
        listed = ", ".join(map(quote, in_the_way))
        raise Failure(
            f"{listed} in {quote(folder)} is of no build, and would be overwritten",
            "choose another folder with -o, or move it away",
        )
    move_files(staging, folder, last=MANIFEST)  # the manifest marks a whole build
    for stale in replaced - names:
        (folder / stale).unlink(missing_ok=True)
    _remove_bytecode(folder, replaced | names)


def _remove_bytecode(folder: Path, names: Collection[str]) -> None:
    """Remove what Python cached of source that is replaced.

    It compares only size and second, or nothing at all, and would run the old code as the new one.
    """
    for path in (folder / name for name in sorted(names) if name.endswith(".py")):
        cached = Path(cache_from_source(str(path)))
        for stale in {cached, *(folder / "__pycache__").glob(f"{path.stem}.*.pyc")}:
            stale.unlink(missing_ok=True)


def check_replaceable(folder: Path) -> set[str] | None:
    """Return the names of the files of the build there, None if there is no folder.

    Raise `Failure` if the folder holds anything else than a build, or files that were edited.
    """
    if not folder.exists() and not folder.is_symlink():
        return None
    help = "choose another folder with -o, or move this one away"
    if not folder.is_dir():
        raise Failure(f"{quote(folder)} is there already, and no folder", help)
    if not any(folder.iterdir()):
        return set()
    try:
        files = read_manifest(folder).files
    except Failure:
        raise Failure(f"{quote(folder)} holds something else than a build", help) from None
    changed = [name for name, digest in files.items() if _changed(folder / name, digest)]
    if changed:
        message = f"{', '.join(map(quote, changed))} in {quote(folder)} changed since the build"
        raise Failure(message, f"{help}; what is deleted is written again")
    return {*files, MANIFEST}


def _changed(path: Path, digest: str) -> bool:
    """Return True if anything but the file that we wrote is there; a deleted one is fine."""
    return os.path.lexists(path) and not (path.is_file() and file_digest(path) == digest)
