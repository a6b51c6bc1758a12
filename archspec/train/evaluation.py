"""Scores of trained runs, each alone and as an ensemble: the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from archspec._numpy import Array, np
from archspec.diagnostics import Failure, quote
from archspec.train.data import Batch, DataSource, SplitData, evaluation_batches
from archspec.train.data.source import OnProgress, ignore_progress
from archspec.train.holdout import SCORE_ALONE
from archspec.train.scores import Scores
from archspec.train.trained_run import TrainedRun


@dataclass(frozen=True)
class Evaluation:
    """The scores of each run, by its folder, and of all as an ensemble.

    `bad` names the samples that could not be read.
    """

    classes: tuple[str, ...]
    runs: dict[str, Scores]
    ensemble: Scores
    crops: int = 1
    bad: tuple[str, ...] = ()


def evaluate(
    runs: Sequence[TrainedRun],
    data: SplitData,
    *,
    crops: int = 1,
    batch: int = 64,
    workers: int = 0,
    bad_data: Literal["error", "skip"] = "error",
    on_progress: OnProgress = ignore_progress,
) -> Evaluation:
    """Score the validation part, by the mean probabilities of 1, 10 or 144 crops of each image."""
    loss_kind = runs[0].loss_kind
    scores_of_runs = {str(run.folder): Scores(loss_kind, len(data.classes)) for run in runs}
    ensemble = Scores(loss_kind, len(data.classes))
    bad: list[str] = []
    task = f"{crops} crops" if crops > 1 else "validation"
    transforms = [run.transform(crops) for run in runs]
    # A sample is `crops` inputs: fewer samples at a time keep the memory the same.
    samples_at_once = max(batch // crops, 1)
    aligned = _aligned_batches(transforms, data.validation, samples_at_once, workers, bad_data)
    for batches in aligned:
        labels = batches[0].y
        bad += batches[0].bad
        outputs = np.stack(
            [
                average_outputs(loss_kind, run.outputs(part.x, batch))
                for run, part in zip(runs, batches, strict=True)
            ]
        )
        for scores, outputs_of_run in zip(scores_of_runs.values(), outputs, strict=True):
            scores.add(outputs_of_run, labels)
        ensemble.add(average_outputs(loss_kind, outputs), labels)
        on_progress(task, ensemble.count + len(bad), len(data.validation))
    return Evaluation(data.classes, scores_of_runs, ensemble, crops, tuple(bad))


def average_outputs(loss_kind: str, outputs: Array) -> Array:
    """Return the outputs [N, C] with the mean of the probabilities of `outputs` [K, N, C].

    >>> logits = np.log([[[0.8, 0.2]], [[0.4, 0.6]]])
    >>> np.exp(average_outputs("cross_entropy", logits)).round(4).tolist()
    [[0.6, 0.4]]
    """
    # In logarithms, so that certainty does not round to 1: the loss of one run is then exactly
    # that of its training.
    if loss_kind == "binary_cross_entropy":
        log_yes = _log_mean(-np.logaddexp(0, -outputs))
        log_no = _log_mean(-np.logaddexp(0, outputs))
        return log_yes - log_no
    return _log_mean(outputs - np.logaddexp.reduce(outputs, axis=-1, keepdims=True))


def _log_mean(logs: Array) -> Array:
    return np.logaddexp.reduce(logs, axis=0) - np.log(len(logs))


def _aligned_batches(
    transforms: Sequence[Any],
    source: DataSource,
    batch: int,
    workers: int,
    bad_data: Literal["error", "skip"],
) -> Iterator[list[Batch]]:
    """Yield each batch of samples once per transform; equal transforms share the work."""
    feeds = {
        transform: evaluation_batches(source, transform, batch, workers, bad_data)
        for transform in transforms
    }
    for batches in zip_longest(*feeds.values()):
        by_transform = {
            transform: batch
            for transform, batch in zip(feeds, batches, strict=True)
            if batch is not None
        }
        unreadable = {batch.bad for batch in by_transform.values()}
        if len(unreadable) > 1 or len(by_transform) < len(feeds):
            names = sorted({name for names in unreadable for name in names})
            listed = ", ".join(map(quote, names))
            raise Failure(f"not all runs can read the same samples: {listed}", SCORE_ALONE)
        yield [by_transform[transform] for transform in transforms]
