"""The lock on a run's folder, new or to resume: no other process trains into it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class EnteredRun:
    """The run of a folder, as the folder has it: `info` alone of a new one."""

    info: dict[str, Any]
    checkpoint: tuple[TrainState, Progress] | None = None
    before: Mapping[str, Any] | None = None
    """Its run.json so far."""

    @property
    def where_it_begins(self) -> str:
        """Say where a run begins that was asked to resume."""
        if self.checkpoint is not None:
            return f"the run resumes after step {self.checkpoint[1].step}"
        if self.before is None:
            return "there is no run to resume: training begins at step 0"
        trained = self.before["trained"]
        lost = f", and the {trained:,} steps of the run so far are lost" if trained else ""
        return f"the run has no checkpoint: training begins at step 0{lost}"


def enter_folder(
    folder: Path,
    graph: Graph,
    info: dict[str, Any],
    resume: bool,
    on_note: Callable[[str], object],
) -> EnteredRun:
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
    checkpoints = list_checkpoints(folder)
    if not has_run:
        if checkpoints:
            message = f"{quote(folder)} has checkpoints, but no {RUN_FILE} says of which run"
            help = "restore it, or move them away; --weights can start a new run from one"
            raise Failure(message, help)
        return EnteredRun(info)
    before = read_run_info(folder)
    info |= {"commands": before["commands"], "trained": before["trained"]}
    if not checkpoints:
        return EnteredRun(info, None, before)
    check_resumable(folder, before, info)
    run_id = before.get("id", "")
    checkpoint = last_checkpoint(folder, graph, on_note, run_id)
    return EnteredRun(info | {"id": run_id}, checkpoint, before)


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
