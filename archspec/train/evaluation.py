"""How good trained runs are, each by itself and together: softmax averaged over the members, as papers ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from archspec.backend import load as load_backend
from archspec.backend import require_imports
from archspec.diagnostics import Failure, quote
from archspec.document import Preprocess
from archspec.folder import read_build
from archspec.picture import preprocess_of
from archspec.train.data import Batch, Prepare, PrepareViews, Source, Views, open_data, whole
from archspec.train.folder import read_facts
from archspec.train.scores import Scores

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
    input: tuple[int, ...]
    steps: Preprocess
    loss: str

    @classmethod
    def open(cls, folder: Path) -> Member:
        manifest = read_build(folder)
        backend = load_backend(manifest["backend"]["name"])
        steps, loss = preprocess_of(manifest), manifest["output"]["loss"]
        try:
            model = backend.load(folder)
        except ImportError as error:
            require_imports(backend, error)
            raise
        return cls(folder, backend, model, tuple(manifest["input"]), steps, loss)

    def prepare(self, crops: int) -> Prepare | PrepareViews:
        """How a sample enters it: once, as `archspec run` has it, or as so many crops."""
        if crops == 1:
            return Prepare(self.input, self.steps)
        return PrepareViews(self.input, self.steps, cast("Views", crops))

    def probabilities(self, x: Array, size: int) -> Array:
        """Of each class [N, C], for inputs x [N, *input], or [N, crops, *input] to take the mean of, so many at a time.

        One value stands for the second of two classes.
        """
        flat = x.reshape(-1, *self.input)
        found = [self._likely(flat[start : start + size]) for start in range(0, len(flat), size)]
        return np.concatenate(found).reshape(len(x), len(flat) // len(x), -1).mean(axis=1)

    def _likely(self, x: Array) -> Array:
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
    crops: int = 1


def evaluate(
    folders: Sequence[Path],
    data: str | None = None,
    held_out: float | None = None,
    *,
    crops: int = 1,
    batch: int = 64,
    workers: int = 0,
) -> Evaluation:
    """Runs on the part of their data that was held out, or on that of other data.

    Of each picture `crops` are taken, 1, 10 or 144, and the mean of their probabilities. Raises `Failure` where runs
    were trained on other parts: what is held out of one may be known to another.
    """
    facts = [read_facts(folder) for folder in folders]
    for folder, own in zip(folders, facts, strict=True):
        if not own["trained"]:
            help = "`archspec train` with --resume goes on with it; Ctrl-C ends it in order"
            raise Failure(f"the run in {quote(folder)} was broken off, and its model has its initial weights", help)
    if data is None:
        for folder, other in zip(folders, facts, strict=True):
            if other["samples"] != facts[0]["samples"]:
                message = f"{quote(folder)} was trained on other data than {quote(folders[0])}"
                raise Failure(message, "`--data` names those to evaluate on")
    found = open_data(data or facts[0]["data"], facts[0]["held_out"] if held_out is None else held_out)
    if not len(found.held_out):
        raise Failure(f"nothing of {quote(found.name)} is held out", "--held-out names a share")
    if list(found.classes) != facts[0]["classes"]:
        raise Failure(f"{quote(found.name)} has other classes than {quote(folders[0])} was trained on")
    members = [Member.open(folder) for folder in folders]
    each = {str(member.folder): Scores(len(found.classes)) for member in members}
    together = Scores(len(found.classes))
    for batches in _alike([m.prepare(crops) for m in members], found.held_out, max(batch // crops, 1), workers):
        labels = batches[0].y
        likely = [member.probabilities(one.x, batch) for member, one in zip(members, batches, strict=True)]
        for scores, own in zip(each.values(), likely, strict=True):
            _add(scores, own, labels)
        _add(together, np.mean(likely, axis=0), labels)
    return Evaluation(found.classes, each, together, crops)


def _alike(ways: Sequence[Any], source: Source, batch: int, workers: int) -> Iterator[list[Batch]]:
    """Each batch of samples in every way; equal ways share it."""
    feeds = {way: whole(source, way, batch, workers) for way in ways}
    for batches in zip(*feeds.values(), strict=True):
        made = dict(zip(feeds, batches, strict=True))
        yield [made[way] for way in ways]


def _add(scores: Scores, likely: Array, labels: Array) -> None:
    if likely.shape[1] != scores.classes:
        raise Failure(f"a model tells {likely.shape[1]} classes apart, the data have {scores.classes}")
    loss = -np.log(np.maximum(likely[np.arange(len(labels)), labels], 1e-300)).mean()
    scores.add(likely, labels, float(loss))
