"""Checkpoints of a run: written atomically, the last few and the best one kept.

A checkpoint is a portable one. Beside the tensors it has the optimizer's slots and the averages,
and its metadata says how far training is: any command that takes weights takes it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from archspec._json import JsonError, Record, convert
from archspec._numpy import Array, np
from archspec.backend.session import slot_name
from archspec.backend.trainer import TrainState
from archspec.diagnostics import Failure, quote, writing
from archspec.ir.graph import Graph
from archspec.ir.types import Natural
from archspec.weights.checkpoint import (
    CheckpointError,
    checkpoint_metadata,
    load_state,
    network_metadata,
    open_safetensors,
    save_checkpoint,
)
from archspec.weights.weight_source import WeightSource

AVERAGE = "average"
FOLDER, SUFFIX = "checkpoints", ".safetensors"
BEST = f"best{SUFFIX}"


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run: `step` is the number of steps done, over all epochs."""

    step: int = 0
    best: float | None = None
    """The best validation top-1 so far."""
    best_step: int | None = None
    """The step after which it was reached."""
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    """The validation scores at this step; empty within an epoch."""
    run: str = ""
    """The id of the run, as in its run.json; empty in a checkpoint that does not say."""


class _EncodedArray(Record):
    dtype: Annotated[str, Field(pattern="^[<>|][biuf][0-9]{1,2}$")]
    """Numbers only: the file may be a stranger's."""
    shape: list[Natural]
    data: str


class _Training(Record):
    """The progress of training, in a checkpoint's metadata."""

    step: Natural
    best: float | None
    best_step: Natural | None
    scores: dict[str, float]
    updates: Natural
    backend_state: dict[str, _EncodedArray]
    run: str = ""


def checkpoint_path(run: Path, step: int) -> Path:
    return run / FOLDER / f"step-{step:08d}{SUFFIX}"


def write_checkpoint(
    run: Path, graph: Graph, spec_hash: str, state: TrainState, progress: Progress
) -> Path:
    """Write a checkpoint atomically and return its path; raise `Failure` if that fails."""
    path = checkpoint_path(run, progress.step)
    average = {slot_name(name, AVERAGE): value for name, value in state.average.items()}
    training = {
        "step": progress.step,
        "best": progress.best,
        "best_step": progress.best_step,
        "scores": dict(progress.scores),
        "run": progress.run,
        "updates": state.updates,
        "backend_state": {name: _encode(value) for name, value in state.backend_state.items()},
    }
    tensors = {**state.tensors, **state.slots, **average}
    with writing(path, "earlier checkpoints are complete"):
        path.parent.mkdir(exist_ok=True)
        save_checkpoint(path, tensors, {**network_metadata(graph, spec_hash), "training": training})
    return path


def read_checkpoint(path: Path, graph: Graph) -> tuple[TrainState, Progress]:
    """Read what `write_checkpoint` wrote.

    Raises `CheckpointError` if it is damaged or of another network.
    """
    loaded = load_state(WeightSource(path), graph)
    with open_safetensors(path) as file:
        stated = checkpoint_metadata(path, file).get("training")
    if stated is None:
        raise CheckpointError(f"{quote(path)} holds weights, but no run to resume")
    ending = f"@{AVERAGE}"
    average = {
        name.removesuffix(ending): value
        for name, value in loaded.slots.items()
        if name.endswith(ending)
    }
    slots = {name: value for name, value in loaded.slots.items() if not name.endswith(ending)}
    try:
        training = convert(stated, _Training)
        backend_state = {name: _decode(value) for name, value in training.backend_state.items()}
    except (JsonError, TypeError, ValueError, OverflowError) as error:
        why = f": {error}" if isinstance(error, JsonError) else ""
        raise CheckpointError(f"{quote(path)} does not say how far its run was{why}") from error
    state = TrainState(loaded.tensors, slots, average, training.updates, backend_state)
    progress = Progress(
        training.step, training.best, training.best_step, training.scores, training.run
    )
    return state, progress


def _encode(value: Array) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": data}


def _decode(value: _EncodedArray) -> Array:
    flat = np.frombuffer(base64.b64decode(value.data), np.dtype(value.dtype))
    return flat.reshape(value.shape).copy()


def list_checkpoints(run: Path) -> list[Path]:
    """Return the checkpoints of a run, the latest last."""
    return sorted((run / FOLDER).glob(f"step-*{SUFFIX}"))


def last_checkpoint(
    run: Path, graph: Graph, on_note: Callable[[str], object], run_id: str = ""
) -> tuple[TrainState, Progress] | None:
    """Read the latest readable checkpoint; return None if there are none at all.

    `on_note` is called for each that is skipped. Raises `Failure` if none can be read, or if it is
    not of the run with that id.
    """
    first_error = ""
    for path in reversed(list_checkpoints(run)):
        try:
            state, progress = read_checkpoint(path, graph)
            if run_id and progress.run != run_id:
                raise Failure(
                    f"{quote(path)} is a checkpoint of another run",
                    "move those of other runs away; --weights can start a new run from one",
                )
            return state, progress
        except CheckpointError as error:
            first_error = first_error or error.message
            on_note(f"{error.message}; skipped")
    if first_error:
        message = f"no checkpoint of {quote(run)} can be read: {first_error}"
        raise Failure(message, "train again into another folder")
    return None


def write_best(
    run: Path,
    graph: Graph,
    spec_hash: str,
    progress: Progress,
    on_note: Callable[[str], object],
) -> None:
    """Write the best epoch's weights beside the checkpoints, averaged if the recipe averages."""
    if progress.best_step is None:
        return
    try:
        state, _ = read_checkpoint(checkpoint_path(run, progress.best_step), graph)
    except CheckpointError as error:
        on_note(f"{error.message}; {BEST} is not written")
        return
    with writing(run / BEST):
        tensors = state.average or state.tensors
        save_checkpoint(run / BEST, tensors, network_metadata(graph, spec_hash))


def prune(run: Path, keep: int, progress: Progress) -> None:
    """Delete all checkpoints but the best and the last `keep` of those up to `progress`.

    Later ones, which were skipped as unreadable, go too, as do leftovers of interrupted writes.
    """
    latest = checkpoint_path(run, progress.step)
    keeping = {*[path for path in list_checkpoints(run) if path <= latest][-keep:]}
    if progress.best_step is not None:
        keeping.add(checkpoint_path(run, progress.best_step))
    for path in (*list_checkpoints(run), *(run / FOLDER).glob(".step-*")):
        if path not in keeping:
            path.unlink(missing_ok=True)
