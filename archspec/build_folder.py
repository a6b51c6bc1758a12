"""The folder that a build writes: staged beside its place, then moved there; what we did not write is not touched."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from archspec._version import __version__
from archspec.backend import Backend
from archspec.diagnostics import Failure, quote, reason
from archspec.frontend.loader import Spec
from archspec.ir.document import Preprocess
from archspec.ir.graph import Graph
from archspec.ir.types import Positive

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

MANIFEST, WEIGHTS = "manifest.json", "weights.safetensors"


def manifest(
    spec: Spec, backend: Backend, graph: Graph, staging: Path, source: Mapping[str, Any]
) -> str:
    """What a build is of, as JSON: the spec and its hash, its arguments, how pictures enter, the files with hashes."""
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
    """The manifest of a folder that we built; raises `Failure` where it is none."""
    try:
        read: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
        if isinstance(found.get("files"), dict) and "archspec" in found:
            # A name that leads out of the folder is none of ours: what a rebuild leaves over is deleted by these.
            files: dict[str, Any] = found["files"]
            if all(Path(name).name == name and name.strip(".") for name in files):
                return found
    except (OSError, ValueError):
        pass
    raise Failure(f"{quote(folder)} holds no build", "`archspec build SPEC -o DIR` writes one")


class _Backend(BaseModel):
    name: str


class _Output(BaseModel):
    shape: list[Positive]
    loss: str


class _Facts(BaseModel):
    """What a model is run by; a manifest has more."""

    input: list[Positive]
    output: _Output
    backend: _Backend
    preprocess: Preprocess | None
    labels: list[str] | None


def read_build(folder: Path) -> dict[str, Any]:
    """The manifest of a model that can be run; raises `Failure` where it does not say how."""
    found = read_manifest(folder)
    try:
        _Facts.model_validate(found)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Failure(
            f"the manifest of {quote(folder)} does not state {quote(place)} as a build does",
            "build it again",
        ) from None
    return found


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Has `fill` write into a new folder beside `folder`, then puts it in place; a failure leaves all as it was.

    Of builds that end at the same time, one after the other is put in place, each of them whole.
    """
    try:
        with _alone(folder.parent):  # a build that is half in place looks like one that was changed
            refuse_foreign(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}-", dir=folder.parent))
    except OSError as error:
        raise _failed(folder, error) from error
    with _terminable():
        try:
            fill(staging)
            _flush(staging)
            staging.chmod(0o777 & ~_umask())
            with _alone(folder.parent):
                known = refuse_foreign(folder)  # another build may have come first
                if known is None:
                    staging.rename(folder)
                else:
                    _replace(folder, staging, known)
        except OSError as error:
            raise _failed(folder, error) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


@contextmanager
def _terminable() -> Generator[None]:
    """A scheduler's notice ends what runs within as Ctrl-C does, so that what is half written is removed.

    It may come twice. Who has a handler of their own keeps it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _flush(staging: Path) -> None:
    """Onto the disk, lest a machine that goes down after the move leaves files without their content."""
    for path in staging.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _replace(folder: Path, staging: Path, known: set[str]) -> None:
    """Puts the files of a build in the place of another's; files of the user's own beside them stay."""
    # The manifest comes last, as the mark of a whole build.
    files = sorted(staging.iterdir(), key=lambda path: path.name == MANIFEST)
    if theirs := [
        path.name
        for path in files
        if path.name not in known and os.path.lexists(folder / path.name)
    ]:
        message = f"{', '.join(map(quote, theirs))} in {quote(folder)} is of no build, and would be overwritten"
        raise Failure(message, "choose another folder with -o, or move it away")
    for path in files:
        path.replace(folder / path.name)
    for stale in known - {path.name for path in files}:
        (folder / stale).unlink(missing_ok=True)


@contextmanager
def _alone(parent: Path) -> Generator[None]:
    """Waits until no other build is being put in place there; the lock leaves no file, and ends with its process."""
    if fcntl is None or not parent.is_dir():
        yield
        return
    descriptor = os.open(parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def refuse_foreign(folder: Path) -> set[str] | None:
    """The files of the build that is there, None where nothing is; raises where anything is not as we wrote it."""
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
    """Whether anything but the file that we wrote is there; what was deleted may be written again."""
    return os.path.lexists(path) and not (path.is_file() and _hash(path) == digest)


def _failed(folder: Path, error: OSError) -> Failure:
    return Failure(f"cannot write {quote(folder)}: {reason(error)}", "nothing was changed")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
