"""The data runs are scored on: samples that none of them was trained on, labelled as theirs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from archspec.diagnostics import Failure, UsageError, did_you_mean, quote
from archspec.train.data import DataSource, Sample, SplitData, open_dataset, split_dataset
from archspec.train.data.source import Dataset, Subset
from archspec.train.run_folder import data_location
from archspec.train.sample_record import check_samples, describe_samples, restore_samples
from archspec.train.trained_run import TrainedRun

SCORE_ALONE = "score each by itself"
SCORE_OTHER_DATA = "other data, which `--data` names, are scored as a whole"


def evaluation_data(
    runs: Sequence[TrainedRun], location: str | None = None, val_split: float | None = None
) -> SplitData:
    """Return the validation part of the runs' own data, or of the data at `location`.

    Other data give their own validation part, or a share `val_split` of them, or else all of them.
    Data with the samples of a run's own are its own, wherever they lie. Raises `Failure` if the
    runs cannot be scored on the same samples, or if their data have changed since.
    """
    first = runs[0]
    for other in runs[1:]:
        _check_comparable(first, other)
        if location is None:
            _check_same_samples(first, other)
    name = location or first.run_info["data"]
    dataset = open_dataset(name)
    own = _data_of_owners(runs, name, dataset)
    if own is None:
        data = _split_other(name, dataset, val_split)
    elif val_split is None:
        data = own[1]
    else:
        message = (
            f"the validation part of {quote(name)} was chosen "
            f"when {quote(own[0].folder)} was trained on it"
        )
        raise UsageError(message, "leave out --val-split")
    if not len(data.validation):
        raise Failure(f"{quote(name)} has no validation samples", SCORE_OTHER_DATA)
    return _relabel(data, first)


def _data_of_owners(
    runs: Sequence[TrainedRun], name: str, dataset: Dataset
) -> tuple[TrainedRun, SplitData] | None:
    """Return the first run that was trained on these data, and the data as it was.

    None if no run was. Raises `Failure` if several were, and on different samples.
    """
    trained = _splits_of_runs(runs, name, dataset)
    samples = {share: describe_samples(data) for share, data in trained.items()}
    owners: list[tuple[TrainedRun, SplitData]] = []
    for run in runs:
        share = run.run_info["val_split"]
        own = _own_samples(run, name, trained[share], samples[share])
        if own is not None:
            owners.append((run, own))
    for other, _ in owners[1:]:
        _check_same_samples(owners[0][0], other)
    return owners[0] if owners else None


def _splits_of_runs(
    runs: Sequence[TrainedRun], name: str, dataset: Dataset
) -> dict[float, SplitData]:
    """Split the data as each run would have split them, by its share."""
    shares = {run.run_info["val_split"] for run in runs}
    # A validation part may have come since: it is not the run's own, as the digest shows.
    has_own_part = dataset.validation is not None
    return {
        share: split_dataset(name, dataset, None if has_own_part else share) for share in shares
    }


def _split_other(name: str, dataset: Dataset, val_split: float | None) -> SplitData:
    if val_split is not None or dataset.validation is not None:
        return split_dataset(name, dataset, val_split)
    nothing = Subset(dataset.train, np.arange(0))
    return SplitData(name, dataset.classes, nothing, dataset.train, 1.0)


def _check_comparable(first: TrainedRun, other: TrainedRun) -> None:
    if other.run_info["classes"] != first.run_info["classes"]:
        message = f"{quote(other.folder)} was trained on other classes than {quote(first.folder)}"
        raise Failure(message, SCORE_ALONE)
    if (other.loss_kind, other.width) != (first.loss_kind, first.width):
        ours, theirs = (f"{run.loss_kind} of {run.width}" for run in (first, other))
        message = (
            f"{quote(other.folder)} ends in {theirs}, {quote(first.folder)} in {ours}: "
            "together they have no one loss"
        )
        raise Failure(message, SCORE_ALONE)


def _check_same_samples(first: TrainedRun, other: TrainedRun) -> None:
    """Raise `Failure` if one run may have been trained on the other's validation samples."""
    if other.run_info["samples"] != first.run_info["samples"]:
        message = f"{quote(other.folder)} was trained on other data than {quote(first.folder)}"
        help = f"{SCORE_ALONE}, or together on other data, which `--data` names"
        raise Failure(message, help)


def _own_samples(
    run: TrainedRun, name: str, data: SplitData, samples: Mapping[str, Any]
) -> SplitData | None:
    """Return the data as the run was trained on them, or None if it was trained on others."""
    if samples == run.run_info["samples"]:
        return data
    if data_location(name) != run.run_info["data"]:
        return None
    # Changes may have been accepted when it was resumed: then its own record is of what is there.
    record, changes = check_samples(run.folder, data, accept=True)
    if record is not None and not changes:
        return restore_samples(record, data)
    named = f": {changes}" if changes else ""
    message = f"{quote(name)} has changed since {quote(run.folder)} was trained on it{named}"
    raise Failure(message, f"restore the data, or train again; {SCORE_OTHER_DATA}")


def _relabel(data: SplitData, run: TrainedRun) -> SplitData:
    """Number the classes of the validation part as the run numbers them."""
    classes: list[str] = run.run_info["classes"]
    unknown = [name for name in data.classes if name not in classes]
    if unknown:
        names = ", ".join(map(quote, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        message = (
            f"{quote(data.name)} has classes that {quote(run.folder)} was not trained on: {names}"
        )
        raise Failure(message, did_you_mean(unknown[0], classes, "classes"))
    labels = tuple(map(classes.index, data.classes))
    relabeled = RelabeledSource(data.validation, labels)
    return replace(data, classes=tuple(classes), validation=relabeled)


@dataclass(frozen=True)
class RelabeledSource:
    """A source with its classes renumbered: `labels` has the new number of each."""

    source: DataSource
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        return replace(sample, label=self.labels[sample.label])
