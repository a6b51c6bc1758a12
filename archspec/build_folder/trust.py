"""Trust in the code of a build: one that this user did not build runs only if the user says so.

A manifest is written by whoever wrote the code, so its hashes alone prove nothing. Each build is
therefore recorded, by the hashes of its code, in the user's own state folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from archspec.build_folder.manifest import (
    WEIGHTS,
    ModelManifest,
    file_digest,
    read_model_manifest,
)
from archspec.diagnostics import Failure, quote, reason

HELP = "build it again from its spec; if you have read its code, `--trust` runs it"


class UntrustedBuild(Failure):
    """A build whose code this user did not write with archspec, or that was changed since."""


def record_build(folder: Path, on_note: Callable[[str], object] = str) -> None:
    """Record a build that was just written, so that it may be run."""
    try:
        records = _records()
        records.mkdir(mode=0o700, parents=True, exist_ok=True)
        (records / _identity(read_model_manifest(folder))).touch()
    except (OSError, RuntimeError) as error:  # RuntimeError if there is no home
        on_note(f"this build cannot be recorded ({reason(error)}): running it takes `--trust`")


def check_trusted(
    folder: Path, manifest: ModelManifest, trust: bool, on_note: Callable[[str], object] = str
) -> None:
    """Raise `UntrustedBuild` unless this user built the folder; with `trust`, only note it."""
    problem = _problem(folder, manifest)
    if problem and not trust:
        raise UntrustedBuild(problem, HELP)
    if problem:
        on_note(f"note: {problem}")


def _problem(folder: Path, manifest: ModelManifest) -> str:
    changed = [
        name for name, digest in manifest.files.items() if not _is_unchanged(folder / name, digest)
    ]
    if changed:
        verb = "differs" if len(changed) == 1 else "differ"
        return f"{', '.join(map(quote, changed))} in {quote(folder)} {verb} from the manifest"
    if not _is_recorded(manifest):
        return f"{quote(folder)} was not built by you on this machine, and running it runs its code"
    return ""


def _is_unchanged(path: Path, digest: str) -> bool:
    try:
        return file_digest(path) == digest
    except OSError:
        return False


def _is_recorded(manifest: ModelManifest) -> bool:
    try:
        return (_records() / _identity(manifest)).is_file()
    except (OSError, RuntimeError):
        return False


def _identity(manifest: ModelManifest) -> str:
    """Return a digest of what runs: the backend, and the files but for the weights."""
    code = sorted(item for item in manifest.files.items() if item[0] != WEIGHTS)
    return sha256(json.dumps([manifest.backend.name, code]).encode()).hexdigest()


def _records() -> Path:
    """Return the folder of the records: one empty file each, named by its digest."""
    stated = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA") or ""
    state = Path(stated) if Path(stated).is_absolute() else Path.home() / ".local" / "state"
    return state / "archspec" / "builds"
