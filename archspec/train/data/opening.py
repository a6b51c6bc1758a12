"""A set of data by its name or its path."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from archspec.diagnostics import Failure, UsageError, did_you_mean, quote, reason
from archspec.train.data.builtin import PACKAGED, open_packaged
from archspec.train.data.folder import open_folder
from archspec.train.data.npz import open_npz
from archspec.train.data.shards import is_packed, open_shards
from archspec.train.data.source import Parts, Source
from archspec.train.data.split import split

SHARE = 0.2
KINDS = "data are a folder of pictures, packed or not, an .npz file or one of the packaged sets"


@dataclass(frozen=True)
class Data:
    """What is trained on, what is held out and never trained on, and what the labels stand for."""

    name: str
    classes: tuple[str, ...]
    train: Source
    held_out: Source
    share: float
    """Of the set's samples for training, what is held out; 0 where it has a part for validation of its own."""


def open_data(where: str | PathLike[str], held_out: float | None = None) -> Data:
    """A packaged set by name, a folder of pictures, as it is or packed, or an .npz file.

    The share is for a set that has no part for validation of its own: a fifth where none is given.
    """
    return divided(where, open_parts(where), held_out)


def divided(where: str | PathLike[str], parts: Parts, held_out: float | None = None) -> Data:
    """As `open_data`, of a set that is open."""
    if parts.held_out is None:
        share = SHARE if held_out is None else held_out
        train, rest = split(parts.train, share)
    elif held_out:
        raise UsageError(
            f"{quote(where)} has a part for validation of its own",
            "leave out --val-split",
        )
    else:
        share, train, rest = 0.0, parts.train, parts.held_out
    if not len(train):
        raise Failure(f"{quote(where)} has no sample left to train on")
    return Data(str(where), parts.classes, train, rest, share)


def refuse_within(where: str | PathLike[str], output: Path) -> None:
    """Raises `Failure` where what is written would be taken for a part of the data the next time they are opened."""
    if str(where) not in PACKAGED and output.resolve().is_relative_to(Path(where).resolve()):
        raise Failure(
            f"{quote(output)} lies in the data {quote(where)}", "`-o` names a folder beside them"
        )


def open_parts(where: str | PathLike[str]) -> Parts:
    """As `open_data`, with nothing held out yet."""
    if str(where) in PACKAGED:
        return open_packaged(str(where))
    if not str(where):
        raise Failure("the name of the data is empty", KINDS)
    try:
        return _parts(Path(where))
    except OSError as error:
        raise Failure(f"cannot read {quote(error.filename or where)}: {reason(error)}") from error


def _parts(path: Path) -> Parts:
    if is_packed(path):
        return open_shards(path)
    if path.is_dir():
        return open_folder(path)
    if path.exists():
        if path.suffix.lower() == ".npz":
            return open_npz(path)
        raise Failure(f"{quote(path)} is no set of data", KINDS)
    raise Failure(
        f"there are no data {quote(path)}", f"{KINDS}; {did_you_mean(str(path), PACKAGED, 'sets')}"
    )
