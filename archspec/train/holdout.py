"""What runs are scored on: samples that none of them was trained on, their classes numbered as the runs number them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from archspec.diagnostics import Failure, UsageError, did_you_mean, quote
from archspec.train.data import Data, Sample, Source, divided, open_parts
from archspec.train.data.source import Part
from archspec.train.run_folder import called, known
from archspec.train.trained_run import Member

ALONE = "score each by itself"
WHOLE = "other data, which `--data` names, are scored as a whole"


def unseen(members: Sequence[Member], where: str | None = None, share: float | None = None) -> Data:
    """What was held out of the members' own data; of other data the part for validation, or a share, or else all.

    Data of the same samples are their own, wherever they lie. Raises `Failure` where members have nothing in common to
    be scored on, and where it is not known any more what was held out.
    """
    first = members[0]
    for other in members[1:]:
        _refuse_unlike(first, other)
        if where is None:
            _refuse_other_samples(first, other)
    name = where or first.facts["data"]
    parts = open_parts(name)
    # A part for validation that has come since is another one than what was held out, as the digest tells.
    shares = {member.facts["held_out"] for member in members}
    trained = {at: divided(name, parts, at if parts.held_out is None else None) for at in shares}
    samples = {at: known(data) for at, data in trained.items()}
    owners = [
        member for member in members if _owns(member, name, samples[member.facts["held_out"]])
    ]
    for other in owners[1:]:
        _refuse_other_samples(owners[0], other)
    if owners and share is not None:
        message = f"what is held out of {quote(name)} was chosen when {quote(owners[0].folder)} was trained on it"
        raise UsageError(message, "leave out --val-split")
    if owners:
        found = trained[owners[0].facts["held_out"]]
    elif share is not None or parts.held_out is not None:
        found = divided(name, parts, share)
    else:
        found = Data(name, parts.classes, Part(parts.train, np.arange(0)), parts.train, 1.0)
    if not len(found.held_out):
        raise Failure(f"nothing of {quote(name)} is held out", WHOLE)
    return _numbered(found, first)


def _refuse_unlike(first: Member, other: Member) -> None:
    if other.facts["classes"] != first.facts["classes"]:
        raise Failure(
            f"{quote(other.folder)} was trained on other classes than {quote(first.folder)}", ALONE
        )
    if (other.kind, other.width) != (first.kind, first.width):
        ours, theirs = (f"{m.kind} of {m.width}" for m in (first, other))
        message = f"{quote(other.folder)} ends in {theirs}, {quote(first.folder)} in {ours}"
        raise Failure(f"{message}: together they have no one loss", ALONE)


def _refuse_other_samples(first: Member, other: Member) -> None:
    """What is held out of the data of one may be known to the other."""
    if other.facts["samples"] != first.facts["samples"]:
        message = f"{quote(other.folder)} was trained on other data than {quote(first.folder)}"
        raise Failure(message, f"{ALONE}, or together on other data, which `--data` names")


def _owns(member: Member, name: str, samples: Mapping[str, Any]) -> bool:
    """Whether it was trained on these very samples of the data."""
    if samples == member.facts["samples"]:
        return True
    if called(name) == member.facts["data"]:
        message = f"{quote(name)} has changed since {quote(member.folder)} was trained on it"
        raise Failure(message, f"put back what was there, or train again; {WHOLE}")
    return False


def _numbered(data: Data, member: Member) -> Data:
    classes: list[str] = member.facts["classes"]
    other = [name for name in data.classes if name not in classes]
    if other:
        names = ", ".join(map(quote, other[:5])) + (", ..." if len(other) > 5 else "")
        message = f"{quote(data.name)} has classes that {quote(member.folder)} was not trained on: {names}"
        raise Failure(message, did_you_mean(other[0], classes, "classes"))
    labels = tuple(map(classes.index, data.classes))
    return replace(data, classes=tuple(classes), held_out=Numbered(data.held_out, labels))


@dataclass(frozen=True)
class Numbered:
    """Samples of a source whose classes have other numbers: `labels` has the new one of each."""

    source: Source
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        return replace(sample, label=self.labels[sample.label])
