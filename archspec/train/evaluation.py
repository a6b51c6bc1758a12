"""How good trained runs are, each by itself and together: the mean of their probabilities, as papers ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from archspec._numpy import Array, np
from archspec.diagnostics import Failure, quote
from archspec.train.data import Batch, Data, Source, whole
from archspec.train.data.source import Watch, unwatched
from archspec.train.holdout import ALONE
from archspec.train.scores import Scores
from archspec.train.trained_run import Member


@dataclass(frozen=True)
class Evaluation:
    """The scores of each run, by its folder, and of all together; `bad` names the samples that could not be read."""

    classes: tuple[str, ...]
    each: dict[str, Scores]
    together: Scores
    crops: int = 1
    bad: tuple[str, ...] = ()


def evaluate(
    members: Sequence[Member],
    data: Data,
    *,
    crops: int = 1,
    batch: int = 64,
    workers: int = 0,
    bad_data: Literal["error", "skip"] = "error",
    watch: Watch = unwatched,
) -> Evaluation:
    """Scores on what is held out, by the mean of the probabilities of 1, 10 or 144 crops of each picture."""
    kind = members[0].kind
    each = {str(member.folder): Scores(kind, len(data.classes)) for member in members}
    together = Scores(kind, len(data.classes))
    bad: list[str] = []
    ways = [member.prepare(crops) for member in members]
    for batches in _alike(ways, data.held_out, max(batch // crops, 1), workers, bad_data):
        labels = batches[0].y
        bad += batches[0].bad
        pairs = zip(members, batches, strict=True)
        outputs = np.stack([averaged(kind, member.outputs(one.x, batch)) for member, one in pairs])
        for scores, own in zip(each.values(), outputs, strict=True):
            scores.add(own, labels)
        together.add(averaged(kind, outputs), labels)
        watch(
            f"{crops} crops" if crops > 1 else "held out",
            together.count + len(bad),
            len(data.held_out),
        )
    return Evaluation(data.classes, each, together, crops, tuple(bad))


def averaged(kind: str, outputs: Array) -> Array:
    """The outputs [N, C] whose probabilities are the mean of those of the outputs [K, N, C].

    >>> update_average("cross_entropy", np.log([[[0.8, 0.2]], [[0.4, 0.6]]])).round(4), np.log([0.6, 0.4]).round(4)
    (array([[-0.5108, -0.9163]]), array([-0.5108, -0.9163]))
    """
    # In logarithms, so that certainty does not round to 1; one member's loss is then the very one of training.
    if kind == "binary_cross_entropy":
        return _log_mean(-np.logaddexp(0, -outputs)) - _log_mean(-np.logaddexp(0, outputs))
    return _log_mean(outputs - np.logaddexp.reduce(outputs, axis=-1, keepdims=True))


def _log_mean(logs: Array) -> Array:
    return np.logaddexp.reduce(logs, axis=0) - np.log(len(logs))


def _alike(
    ways: Sequence[Any],
    source: Source,
    batch: int,
    workers: int,
    bad_data: Literal["error", "skip"],
) -> Iterator[list[Batch]]:
    """Each batch of samples in every way; equal ways share it."""
    feeds = {way: whole(source, way, batch, workers, bad_data) for way in ways}
    for batches in zip_longest(*feeds.values()):
        made = {way: one for way, one in zip(feeds, batches, strict=True) if one is not None}
        bad = {one.bad for one in made.values()}
        if len(bad) > 1 or len(made) < len(feeds):
            names = ", ".join(map(quote, sorted({name for names in bad for name in names})))
            raise Failure(f"not all runs can read the same samples: {names}", ALONE)
        yield [made[way] for way in ways]
