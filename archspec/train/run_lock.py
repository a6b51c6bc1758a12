"""The lock on a run's folder, new or to resume: no other process trains into it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from archspec._files import folder_lock, owned
from archspec.backend.process_group import ProcessGroup
from archspec.backend.trainer import TrainState
from archspec.build_folder import MANIFEST, check_replaceable
from archspec.diagnostics import Failure, quote, writing
from archspec.ir.graph import Graph
from archspec.train.checkpoint import Progress, last_checkpoint, list_checkpoints
from archspec.train.distributed import fail_together
from archspec.train.run_folder import RUN_FILE, check_resumable, read_run_info


@contextmanager
def lock_folder(folder: Path) -> Generator[None]:
    """Lock the folder, creating it if needed; raise `Failure` if another process trains into it.

    The lock ends with the process. A folder that was created and stayed empty is removed.
    """
    is_new = not folder.exists()
    is_ours = owned()
    if not is_new and not folder.is_dir():
        raise _already_exists(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            with writing(folder):
                _lock(folder, stack)
            yield
    finally:
        if is_new and is_ours():
            with suppress(OSError):
                folder.rmdir()


def _lock(folder: Path, stack: ExitStack) -> None:
    try:
        stack.enter_context(folder_lock(folder, wait=False))
    except BlockingIOError:
        help = "wait for its end, or end it; `-o` names another folder"
        raise Failure(f"another process trains into {quote(folder)}", help) from None


def enter_folder(
    folder: Path,
    graph: Graph,
    info: dict[str, Any],
    resume: bool,
    on_note: Callable[[str], object],
) -> tuple[dict[str, Any], tuple[TrainState, Progress] | None]:
    """Return `info` completed by what the folder says of its run, and the last checkpoint if any.

    Raises `Failure` if the folder holds something else, or a run that cannot be resumed.
    """
    has_run = (folder / RUN_FILE).exists()
    # A run that failed before it wrote its run.json has left a build and nothing else.
    resumable = resume and (has_run or (folder / MANIFEST).exists())
    if not resumable and any(folder.iterdir()):
        raise _already_exists(folder, "; `--resume` continues it" if has_run else "")
    # The build is written here at the end, and refused then would be too late.
    check_replaceable(folder)
    if not has_run:
        return info, None
    before = read_run_info(folder)
    checkpoint = None
    if list_checkpoints(folder):
        check_resumable(folder, before, info)
        checkpoint = last_checkpoint(folder, graph, on_note)
    return info | {"commands": before["commands"], "trained": before["trained"]}, checkpoint


def _already_exists(folder: Path, more_help: str = "") -> Failure:
    return Failure(f"{quote(folder)} already exists", f"`-o` names another folder{more_help}")


def check_same_on_all(group: ProcessGroup, inputs: Mapping[str, Any]) -> None:
    """Raise `Failure` if ranks, which may be on several machines, were given different inputs."""
    first = group.broadcast(inputs)
    with fail_together(group):
        differing = [name for name, value in inputs.items() if value != first[name]]
        if differing:
            names = " and ".join(differing)
            message = f"process {group.rank} was given a different {names} than the first process"
            raise Failure(message, "every machine needs the same spec, command and data")
