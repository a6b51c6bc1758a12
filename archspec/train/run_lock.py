"""How a run enters its folder: a new one, or one to go on with, which no other process trains into meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from archspec.backend.process_group import ProcessGroup
from archspec.backend.trainer import TrainState
from archspec.build_folder import MANIFEST, check_replaceable
from archspec.diagnostics import Failure, quote, writing
from archspec.ir.graph import Graph
from archspec.train.checkpoint import Place, checkpoints, last_checkpoint
from archspec.train.distributed import agreed
from archspec.train.run_folder import FACTS, read_facts, refuse_another

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Holds the folder, which is made where there is none: another process that trains into it is refused.

    The hold ends with the process; a folder that was made and stayed empty is removed.
    """
    made = not folder.exists()
    if not made and not folder.is_dir():
        raise _there(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = None if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if fcntl is not None and descriptor is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                help = "wait for its end, or end it; `-o` names another folder"
                raise Failure(f"another process trains into {quote(folder)}", help) from None
            except OSError:  # a file system without locks
                pass
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
        if made:
            with suppress(OSError):
                folder.rmdir()


def entered(
    folder: Path, graph: Graph, known: dict[str, Any], resume: bool, remark: Callable[[str], object]
) -> tuple[dict[str, Any], tuple[TrainState, Place] | None]:
    """What is known of a run with what its folder says of it, and where it stood; None where it has yet to begin.

    Raises `Failure` where the folder is another's, or the run is one that cannot be gone on with.
    """
    began = (folder / FACTS).exists()
    # A run that ended before it could say what it is has left a build, and nothing else.
    free = not any(folder.iterdir()) or (resume and (began or (folder / MANIFEST).exists()))
    if not free:
        raise _there(folder, "; `--resume` goes on with it" if began else "")
    check_replaceable(folder)  # at the end it would be too late
    if not began:
        return known, None
    before, kept = read_facts(folder), None
    if checkpoints(folder):
        refuse_another(folder, before, known)
        kept = last_checkpoint(folder, graph, remark)
    return known | {"commands": before["commands"], "trained": before["trained"]}, kept


def _there(folder: Path, more: str = "") -> Failure:
    return Failure(f"{quote(folder)} is there already", f"`-o` names another folder{more}")


def refuse_unlike(group: ProcessGroup, given: Mapping[str, Any]) -> None:
    """Raises `Failure` where processes, on several machines, were given different things."""
    first = group.broadcast(given)
    with agreed(group):
        other = [name for name, value in given.items() if value != first[name]]
        if other:
            message = (
                f"process {group.rank} was given another {' and '.join(other)} than the first one"
            )
            raise Failure(message, "each machine has to have the same spec, command and data")
