"""Records training from a backend's view: the calls of its trainer, and its losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from archspec.backend import load as load_backend
from archspec.compiler import load as load_spec
from archspec.train.log import read_metrics
from archspec.train.run import TrainOptions, train_spec


def digest(*arrays: Any) -> str:
    return sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


@dataclass
class Recorder:
    """A trainer that notes what it is given, and leaves the rest to another."""

    inner: Any
    batches: list[str] = field(default_factory=list[str])
    """Of each step: its inputs, labels and rate, every bit of them."""
    trained: list[str] = field(default_factory=list[str])
    scored: list[str] = field(default_factory=list[str])
    """By sample: what was trained on, and what was predicted."""

    def step(self, x: Any, y: Any, rate: float, *more: Any) -> None:
        self.batches.append(f"{digest(x, y)} {x.shape} {x.dtype} {rate!r}")
        self.trained += map(digest, x)
        self.inner.step(x, y, rate, *more)

    def predict(self, x: Any) -> Any:
        self.scored += map(digest, x)
        return self.inner.predict(x)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def recorded(
    backend: str,
    spec: str,
    data: str,
    folder: Path,
    sets: Sequence[str] = (),
    *,
    resume: bool = False,
) -> Recorder:
    """A run from end to end, with a report after each step."""
    made: list[Recorder] = []
    engine = load_backend(backend)
    assert engine.trainer is not None
    build = engine.trainer

    def trainer(*given: Any) -> Any:
        made.append(Recorder(build(*given)))
        return made[-1]

    watched = replace(engine, trainer=trainer)
    train_spec(
        load_spec(spec, sets=sets),
        watched,
        folder,
        TrainOptions(data=data, log_every=1),
        resume=resume,
    )
    (recorder,) = made
    return recorder


def losses(folder: Path) -> list[dict[str, float]]:
    """Return the losses of a run, after each step and by head."""
    return [line["losses"] for line in read_metrics(folder) if line["kind"] == "train"]
