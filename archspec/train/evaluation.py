"""How good trained runs are, each by itself and together: softmax averaged over the members, as papers ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archspec.backend import load as load_backend
from archspec.diagnostics import Failure, quote
from archspec.folder import read_build
from archspec.picture import preprocess_of
from archspec.train.data import Prepare, open_data, whole
from archspec.train.scores import Scores
from archspec.train.start import read_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    from archspec import lazy_numpy as np


@dataclass(frozen=True)
class Member:
    """A trained run, opened: its model, how samples enter it, and what its output means."""

    folder: Path
    backend: Any
    model: Any
    prepare: Prepare
    loss: str

    @classmethod
    def open(cls, folder: Path) -> Member:
        manifest = read_build(folder)
        backend = load_backend(manifest["backend"]["name"])
        prepare = Prepare(tuple(manifest["input"]), preprocess_of(manifest))
        return cls(folder, backend, backend.load(folder), prepare, manifest["output"]["loss"])

    def probabilities(self, x: Array) -> Array:
        """Of each class [N, C], for inputs x; one value stands for the second of two classes."""
        outputs = np.asarray(self.backend.predict(self.model, x), np.float64).reshape(len(x), -1)
        if self.loss != "binary_cross_entropy":
            shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            return shifted / shifted.sum(axis=1, keepdims=True)
        second = 1 / (1 + np.exp(-np.clip(outputs, -700, 700)))
        return np.concatenate([1 - second, second], axis=1) if second.shape[1] == 1 else second


@dataclass(frozen=True)
class Evaluation:
    """The scores of each run, and of all together."""

    classes: tuple[str, ...]
    each: dict[str, Scores]
    together: Scores


def evaluate(
    folders: Sequence[Path], data: str | None = None, held_out: float | None = None, batch: int = 64, workers: int = 0
) -> Evaluation:
    """Runs on the part of their data that was held out, or on that of other data.

    Raises `Failure` where runs were trained on other parts: what is held out of one may be known to another.
    """
    facts = [read_facts(folder) for folder in folders]
    if data is None:
        for folder, other in zip(folders, facts, strict=True):
            if (other["data"], other["held_out"]) != (facts[0]["data"], facts[0]["held_out"]):
                message = f"{quote(folder)} was trained on other data than {quote(folders[0])}"
                raise Failure(message, "`--data` names those to evaluate on")
    found = open_data(data or facts[0]["data"], facts[0]["held_out"] if held_out is None else held_out)
    members = [Member.open(folder) for folder in folders]
    each = {str(member.folder): Scores(len(found.classes)) for member in members}
    together = Scores(len(found.classes))
    for batches in _alike(members, found.held_out, batch, workers):
        labels = batches[0].y
        likely = [member.probabilities(one.x) for member, one in zip(members, batches, strict=True)]
        for scores, own in zip(each.values(), likely, strict=True):
            _add(scores, own, labels)
        _add(together, np.mean(likely, axis=0), labels)
    return Evaluation(found.classes, each, together)


def _alike(members: Sequence[Member], source: Any, batch: int, workers: int) -> Iterator[list[Any]]:
    """Each batch of samples as every member takes it; those that take it alike share it."""
    ways = {member.prepare: whole(source, member.prepare, batch, workers) for member in members}
    for batches in zip(*ways.values(), strict=True):
        made = dict(zip(ways, batches, strict=True))
        yield [made[member.prepare] for member in members]


def _add(scores: Scores, likely: Array, labels: Array) -> None:
    if likely.shape[1] != scores.classes:
        raise Failure(f"a model tells {likely.shape[1]} classes apart, the data have {scores.classes}")
    loss = -np.log(np.maximum(likely[np.arange(len(labels)), labels], 1e-300)).mean()
    scores.add(likely, labels, float(loss))
