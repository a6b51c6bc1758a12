"""The samples that a run was begun with, so that it can tell what has changed in them since.

RUN/samples.jsonl.gz has a line for each: its part, name, label, and a digest of its content, which
of a file is its size. A run that is resumed keeps to this list: its validation samples stay what
they were, and its batches as well.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, cast

from archspec._files import atomic_file, open_file
from archspec._json import parse_plain
from archspec._numpy import Array, np
from archspec.diagnostics import Failure, quote, writing
from archspec.train.data import DataSource, Sample, SplitData
from archspec.train.data.source import FileSlice, RemovedImage, iter_samples

RECORD_FILE = "samples.jsonl.gz"
MAX_NAMED = 5
"""The most samples that a message names."""
MAX_RECORD_BYTES = 2**32
Entry = tuple[str, str, int, str]
"""The part of a sample, `train` or `validation`, its name, label and content."""


def sample_entries(data: SplitData) -> Iterator[Entry]:
    """Yield the entry of each sample, in order."""
    for part, source in _parts(data).items():
        for sample in iter_samples(source):
            yield part, sample.name, sample.label, _content(sample)


def describe_samples(data: SplitData) -> dict[str, Any]:
    """Return the numbers of training and validation samples, and a digest of both."""
    digest = sha256()
    for entry in sample_entries(data):
        digest.update("\0".join(map(str, entry)).encode("utf-8", "surrogateescape") + b"\n")
    counts = {part: len(source) for part, source in _parts(data).items()}
    return {**counts, "digest": digest.hexdigest()}


def write_record(folder: Path, data: SplitData) -> None:
    """Write the samples of a run; raise `Failure` if they cannot be written."""
    with (
        writing(folder),
        atomic_file(folder / RECORD_FILE) as file,
        gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as zipped,
        TextIOWrapper(cast("Any", zipped), encoding="ascii") as text,
    ):
        for entry in sample_entries(data):
            text.write(json.dumps(entry) + "\n")


def read_record(folder: Path) -> list[Entry] | None:
    """Return the samples of a run, or None if there is no readable record of them."""
    entries: list[Entry] = []
    read = 0
    try:
        with open_file(folder / RECORD_FILE) as zipped, gzip.GzipFile(fileobj=zipped) as file:
            while line := file.readline(2**16):
                read += len(line)
                part, name, label, content = parse_plain(line)
                if read > MAX_RECORD_BYTES or part not in ("train", "validation"):
                    return None
                entries.append((part, str(name), int(label), str(content)))
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return entries


@dataclass(frozen=True)
class SampleChanges:
    """The names of samples that have another content or label, that are gone, and that are new."""

    changed: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed or self.added)

    def __str__(self) -> str:
        """Describe the changes in one line, with the first names of each kind."""
        kinds = {"changed": self.changed, "gone": self.removed, "new": self.added}
        return "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names)


def compare_samples(before: Sequence[Entry], data: SplitData) -> SampleChanges:
    """Return what has changed in the data since the entries were made."""
    now = {name: (label, content) for _, name, label, content in sample_entries(data)}
    earlier_names = {name for _, name, _, _ in before}
    changed = [
        name
        for _, name, label, content in before
        # A sample that was gone when the record was made may have come back.
        if name in now and now[name] != (label, content)
    ]
    removed = [name for _, name, _, content in before if name not in now and content]
    return SampleChanges(
        tuple(changed), tuple(removed), tuple(name for name in now if name not in earlier_names)
    )


def restore_samples(before: Sequence[Entry], data: SplitData) -> SplitData:
    """Return the data in the order and the parts of the entries.

    What is gone cannot be read, and what is new is in no part.
    """
    sources = tuple(_parts(data).values())
    names = chain.from_iterable(map(iter_samples, sources))
    positions = {sample.name: position for position, sample in enumerate(names)}
    parts: dict[str, DataSource] = {}
    for part in _parts(data):
        entries = [entry for entry in before if entry[0] == part]
        indices = np.array([positions.get(name, -1) for _, name, _, _ in entries], np.int64)
        gone = {at: (entries[at][1], entries[at][2]) for at in np.flatnonzero(indices < 0).tolist()}
        parts[part] = RecordedSource(sources, indices, gone)
    return replace(data, train=parts["train"], validation=parts["validation"])


@dataclass(frozen=True)
class RecordedSource:
    """Samples of the sources by `indices` into all of them; those of `gone` are in none."""

    sources: tuple[DataSource, ...]
    indices: Array
    gone: Mapping[int, tuple[str, int]]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        if index in self.gone:
            name, label = self.gone[index]
            return Sample(RemovedImage(), label, name)
        position = int(self.indices[index])
        for source in self.sources:
            if position < len(source):
                return source[position]
            position -= len(source)
        raise IndexError(index)


def check_samples(
    folder: Path, data: SplitData, accept: bool
) -> tuple[list[Entry] | None, SampleChanges | None]:
    """Return the record of a run, if there is one, and what has changed in its data since.

    Raises `Failure`, with the names of what has changed, unless the changes are accepted or none.
    """
    entries = read_record(folder)
    if entries is None:
        return None, None
    changes = compare_samples(entries, data)
    if changes and not accept:
        message = (
            f"the samples of {quote(data.name)} have changed since {quote(folder)} was trained"
        )
        help = (
            "restore them, or --accept-data-changes: what changed is then read as it is now, "
            "what is gone is left out, and what is new is not used"
        )
        raise Failure(f"{message}: {changes}", help)
    return entries, changes


def _parts(data: SplitData) -> dict[str, DataSource]:
    return {"train": data.train, "validation": data.validation}


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(quote, names[:MAX_NAMED]))
    more = len(names) - MAX_NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _content(sample: Sample) -> str:
    """Return a digest of a sample in memory, and the size of one in a file.

    Reading every file would take as long as an epoch.
    """
    image = sample.image
    if isinstance(image, RemovedImage):
        return ""
    if isinstance(image, FileSlice):
        return str(image.size)
    if isinstance(image, Path):
        try:
            return str(image.stat().st_size)
        except OSError:  # an unreadable sample is reported where it is read
            return "unreadable"
    if isinstance(image, bytes):
        return sha256(image).hexdigest()[:16]
    shape = str(image.shape).encode()
    return sha256(b"%b %b" % (shape, image.tobytes())).hexdigest()[:16]
