"""What a run goes on from: neutral checkpoints in a folder, whole or not there, the best and the last of them kept.

A checkpoint is a neutral one with the optimizer's slots beside the tensors, the averages among them, and the place in
training in its metadata: any command that takes weights takes it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from archspec._numpy import Array, np
from archspec.backend.session import slot_name
from archspec.backend.trainer import TrainState
from archspec.diagnostics import Failure, quote, writing
from archspec.ir.graph import Graph
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
class Place:
    """How far a run is: `step` counts from its start, over all epochs, and is the next one's."""

    step: int = 0
    best: float | None = None
    """The best top-1 on the held-out part so far, and the step after which it was reached."""
    best_step: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict[str, float])
    """What the held-out part gave here; empty within an epoch."""


def path_of(run: Path, step: int) -> Path:
    return run / FOLDER / f"step-{step:08d}{SUFFIX}"


def write_checkpoint(
    run: Path, graph: Graph, spec: str, standing: TrainState, place: Place
) -> Path:
    """Writes it whole, or leaves all as it was and raises `Failure`; `spec` is the hash of the spec."""
    path = path_of(run, place.step)
    mean = {slot_name(name, AVERAGE): value for name, value in standing.average.items()}
    training = {
        "step": place.step,
        "best": place.best,
        "best_step": place.best_step,
        "scores": dict(place.scores),
        "updates": standing.updates,
        "own": {name: _packed(value) for name, value in standing.backend_state.items()},
    }
    with writing(path, "what was written before is whole"):
        path.parent.mkdir(exist_ok=True)
        save_checkpoint(
            path,
            {**standing.tensors, **standing.slots, **mean},
            {**network_metadata(graph, spec), "training": training},
        )
    return path


def read_checkpoint(path: Path, graph: Graph) -> tuple[TrainState, Place]:
    """What `write_checkpoint` wrote; raises `CheckpointError` where it is another network's, or damaged."""
    state = load_state(WeightSource(path), graph)
    with open_safetensors(path) as file:
        stated: Any = checkpoint_metadata(path, file).get("training")
    if not isinstance(stated, dict):
        raise CheckpointError(f"{quote(path)} holds weights, and no run to go on with")
    kept = cast("dict[str, Any]", stated)
    ends = f"@{AVERAGE}"
    mean = {
        name.removesuffix(ends): value for name, value in state.slots.items() if name.endswith(ends)
    }
    slots = {name: value for name, value in state.slots.items() if not name.endswith(ends)}
    try:
        own = {name: _unpacked(value) for name, value in kept["own"].items()}
        standing = TrainState(state.tensors, slots, mean, int(kept["updates"]), own)
        return standing, Place(
            int(kept["step"]), kept["best"], kept["best_step"], dict(kept["scores"])
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{quote(path)} does not say where its run was") from error


def _packed(value: Array) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
    return {"dtype": value.dtype.str, "shape": list(value.shape), "data": data}


def _unpacked(value: Mapping[str, Any]) -> Array:
    kind = np.dtype(str(value["dtype"]))
    if kind.kind not in "biuf":
        raise ValueError("numbers alone are kept")
    return np.frombuffer(base64.b64decode(value["data"]), kind).reshape(value["shape"]).copy()


def checkpoints(run: Path) -> list[Path]:
    """Those of a run, the last one last."""
    return sorted((run / FOLDER).glob(f"step-*{SUFFIX}"))


def last_checkpoint(
    run: Path, graph: Graph, remark: Callable[[str], object]
) -> tuple[TrainState, Place] | None:
    """The last one that can be read, None where there is none; `remark` is told of those that cannot."""
    why = ""
    for path in reversed(checkpoints(run)):
        try:
            return read_checkpoint(path, graph)
        except CheckpointError as error:
            why = why or error.message
            remark(f"{error.message}; it is passed over")
    if why:
        raise Failure(
            f"no checkpoint of {quote(run)} can be read: {why}", "train again into another folder"
        )
    return None


def write_best(
    run: Path, graph: Graph, spec: str, place: Place, remark: Callable[[str], object]
) -> None:
    """Leaves the weights of the best epoch beside the checkpoints, their mean where the recipe averages."""
    if place.best_step is None:
        return
    path = run / BEST
    try:
        standing, _ = read_checkpoint(path_of(run, place.best_step), graph)
    except CheckpointError as error:
        remark(f"{error.message}; there is no {BEST} therefore")
        return
    with writing(path):
        save_checkpoint(path, standing.average or standing.tensors, network_metadata(graph, spec))


def prune(run: Path, keep: int, place: Place) -> None:
    """Leaves the last `keep` checkpoints up to that place, and the best one.

    Later ones, which could not be read and were passed over, go, as does what an interrupted write left over.
    """
    last = path_of(run, place.step)
    kept = {*[path for path in checkpoints(run) if path <= last][-keep:]}
    if place.best_step is not None:
        kept.add(path_of(run, place.best_step))
    for path in (*checkpoints(run), *(run / FOLDER).glob(".step-*")):
        if path not in kept:
            path.unlink(missing_ok=True)
