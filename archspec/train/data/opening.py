"""Opening a data set by its name or path, and splitting it."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from archspec.diagnostics import Failure, UsageError, did_you_mean, quote, reason
from archspec.train.data.builtin import BUILTIN, open_builtin
from archspec.train.data.folder import open_folder
from archspec.train.data.npz import open_npz
from archspec.train.data.shards import is_packed, open_shards
from archspec.train.data.source import Dataset, DataSource
from archspec.train.data.split import split

DEFAULT_VAL_SPLIT = 0.2
KINDS = "data are a folder of images, packed or not, an .npz file or the name of a built-in set"


@dataclass(frozen=True)
class SplitData:
    """Training and validation samples, and the names of the classes that labels stand for."""

    name: str
    classes: tuple[str, ...]
    train: DataSource
    validation: DataSource
    val_split: float
    """The share of the samples that was split off; 0 if the set has a validation part."""
    ignored: tuple[str, ...] = ()
    """Files beside the samples that are not any."""


def open_data(where: str | PathLike[str], val_split: float | None = None) -> SplitData:
    """Open and split a built-in set, a folder of images, packed or not, or an .npz file.

    `val_split` is for a set without a validation part: 0.2 by default.
    """
    return split_dataset(where, open_dataset(where), val_split)


def split_dataset(
    where: str | PathLike[str], dataset: Dataset, val_split: float | None = None
) -> SplitData:
    """Split a data set that is open, as `open_data` does."""
    train, validation, share = dataset.train, dataset.validation, 0.0
    if validation is None:
        share = DEFAULT_VAL_SPLIT if val_split is None else val_split
        train, validation = split(dataset.train, share)
    elif val_split:
        message = f"{quote(where)} has a validation part of its own"
        raise UsageError(message, "leave out --val-split")
    if not len(train):
        raise Failure(f"{quote(where)} has no sample left to train on")
    return SplitData(str(where), dataset.classes, train, validation, share, dataset.ignored)


def check_not_inside(where: str | PathLike[str], output: Path) -> None:
    """Raise `Failure` if output would lie in the data, and be a part of them when next opened."""
    if str(where) not in BUILTIN and output.resolve().is_relative_to(Path(where).resolve()):
        message = f"{quote(output)} lies in the data {quote(where)}"
        raise Failure(message, "`-o` names a folder beside them")


def open_dataset(where: str | PathLike[str]) -> Dataset:
    """Open a data set as `open_data` does, without a split."""
    if str(where) in BUILTIN:
        return open_builtin(str(where))
    if not str(where):
        raise Failure("the name of the data is empty", KINDS)
    try:
        return _open_path(Path(where))
    except OSError as error:
        raise Failure(f"cannot read {quote(error.filename or where)}: {reason(error)}") from error


def _open_path(path: Path) -> Dataset:
    if is_packed(path):
        return open_shards(path)
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        help = f"{KINDS}; {did_you_mean(str(path), BUILTIN, 'sets')}"
        raise Failure(f"there are no data {quote(path)}", help)
    if path.suffix.lower() == ".npz":
        return open_npz(path)
    raise Failure(f"{quote(path)} is not a data set", KINDS)
