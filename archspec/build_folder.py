"""The folder that a build writes: staged, then moved into place; other files are not touched."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from archspec._files import flush_folder, folder_lock, move_files, staging_folder
from archspec._version import __version__
from archspec.backend import Backend
from archspec.diagnostics import Failure, quote, reason
from archspec.frontend.loader import Spec
from archspec.ir.document import Preprocess
from archspec.ir.graph import Graph
from archspec.ir.types import Positive

MANIFEST, WEIGHTS = "manifest.json", "weights.safetensors"


def manifest_text(
    spec: Spec, backend: Backend, graph: Graph, staging: Path, source: Mapping[str, Any]
) -> str:
    """Return the manifest as JSON: spec, arguments, preprocessing, files with their hashes."""
    preprocess = spec.document.preprocess
    head = graph.heads[0]
    facts = {
        "archspec": __version__,
        "name": spec.name,
        "spec": {"file": Path(spec.path).name, "sha256": spec.sha256, "args": dict(spec.args)},
        "backend": {"name": backend.name, backend.framework: _version(backend.framework)},
        "input": list(graph.input),
        "output": {"shape": list(graph.nodes[head.node].shape), "loss": head.loss},
        "preprocess": preprocess.model_dump(mode="json") if preprocess else None,
        "labels": list(spec.document.labels) if spec.document.labels else None,
        **source,
        "files": {path.name: _hash(path) for path in sorted(staging.iterdir())},
    }
    return json.dumps(facts, indent=2, ensure_ascii=False) + "\n"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a build's folder; raise `Failure` if it is not a build."""
    try:
        read: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
        if isinstance(manifest.get("files"), dict) and "archspec" in manifest:
            # A rebuild deletes stale files by these names: none may lead out of the folder.
            files: dict[str, Any] = manifest["files"]
            if all(Path(name).name == name and name.strip(".") for name in files):
                return manifest
    except (OSError, ValueError):
        pass
    raise Failure(f"{quote(folder)} holds no build", "`archspec build SPEC -o DIR` writes one")


class _BackendEntry(BaseModel):
    name: str


class _OutputEntry(BaseModel):
    shape: list[Positive]
    loss: str


class _ModelManifest(BaseModel):
    """The part of a manifest by which a model is run."""

    input: list[Positive]
    output: _OutputEntry
    backend: _BackendEntry
    preprocess: Preprocess | None
    labels: list[str] | None


def read_model_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a model to run; raise `Failure` if it lacks what that takes."""
    manifest = read_manifest(folder)
    try:
        _ModelManifest.model_validate(manifest)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Failure(
            f"the manifest of {quote(folder)} does not state {quote(place)} as a build does",
            "build it again",
        ) from None
    return manifest


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Have `fill` write into a new folder, then put that in the place of `folder`.

    A failure leaves everything as it was. Builds that end at the same time are put in place one
    after the other, each of them whole. Raise `Failure` if `folder` holds anything but a build.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder_lock(folder.parent):  # a build that is half in place looks like an edited one
            check_replaceable(folder)
        with staging_folder(folder) as staging:
            fill(staging)
            flush_folder(staging)
            with folder_lock(folder.parent):
                _put_in_place(staging, folder)
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
        files: dict[str, str] = read_manifest(folder)["files"]
    except Failure:
        raise Failure(f"{quote(folder)} holds something else than a build", help) from None
    changed = [name for name, digest in files.items() if _changed(folder / name, digest)]
    if changed:
        message = f"{', '.join(map(quote, changed))} in {quote(folder)} changed since the build"
        raise Failure(message, f"{help}; what is deleted is written again")
    return {*files, MANIFEST}


def _changed(path: Path, digest: str) -> bool:
    """Return True if anything but the file that we wrote is there; a deleted one is fine."""
    return os.path.lexists(path) and not (path.is_file() and _hash(path) == digest)
