"""Packed sets: pictures in tar files laid out as WebDataset's, found by an index, vouched for by a manifest.

DIR/ holds `shards.json`, the manifest below, and for each part, `train` and where the set has one `val`, its shards
`train-00000.tar` ... and `train.npy`, its index: where each sample lies, in the order of the set that was packed.
A sample is two files of a shard, `00000012.jpeg` and its label in `00000012.cls`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from archspec.diagnostics import Failure, quote, reason
from archspec.ir.section import Section
from archspec.ir.types import Positive
from archspec.train.data.npz import HEADER_ERRORS
from archspec.train.data.source import LARGEST, Content, Parts, Sample

MANIFEST = "shards.json"
MANIFEST_BYTES = 2**26
FORMAT: Literal["archspec-shards-1"] = "archspec-shards-1"
PartName = Literal["train", "val"]
AGAIN = "it was not copied whole, or changed: copy it anew, or pack the set again"
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Shard(Section):
    """One tar file; its name is a pattern, so that none leads out of the folder."""

    file: Annotated[str, Field(pattern="^(train|val)-[0-9]{5,9}[.]tar$")]
    samples: Positive
    bytes: Positive
    sha256: Digest


class Packed(Section):
    """The shards of a part, in order, and the hash of its index."""

    samples: Positive
    index: Digest
    shards: list[Shard]


class Manifest(Section):
    """What `shards.json` says; `size` is the shorter side that pictures were scaled down to."""

    format: Literal["archspec-shards-1"]
    classes: list[str]
    size: Positive | None
    train: Packed
    val: Packed | None

    @property
    def parts(self) -> dict[PartName, Packed]:
        found: dict[PartName, Packed] = {"train": self.train}
        return found if self.val is None else {**found, "val": self.val}


def index_type(longest: int) -> np.dtype[Any]:
    """A line of an index: the number of the shard, where in it the picture begins, its bytes, its label and name."""
    return np.dtype(
        [
            ("shard", "<u4"),
            ("offset", "<i8"),
            ("size", "<i8"),
            ("label", "<i4"),
            ("name", f"S{longest}"),
        ]
    )


@dataclass(frozen=True)
class Shards:
    """Samples of a part; each is read from its shard when it is asked for."""

    root: Path
    name: PartName
    files: tuple[str, ...]
    index: NDArray[Any]

    @classmethod
    def open(cls, root: Path, name: PartName) -> Shards:
        """Raises `Failure` where a shard or the index is not as the manifest has it; hashes are `damaged`'s."""
        manifest = read_manifest(root)
        part = manifest.parts[name]
        _refuse_lengths(root, part)
        index = _read_index(root / index_file(name))
        if wrong := _misplaced(index, part, len(manifest.classes)):
            raise Failure(f"{quote(root / index_file(name))} and {MANIFEST} differ: {wrong}", AGAIN)
        return cls(root, name, tuple(shard.file for shard in part.shards), index)

    def __reduce__(self) -> tuple[Any, ...]:
        """A process opens it anew: they share one index in memory."""
        return Shards.open, (self.root, self.name)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> Sample:
        row: tuple[int, int, int, int, bytes] = self.index[index].item()
        shard, offset, size, label, name = row
        content = Content(self.root / self.files[shard], offset, size)
        return Sample(content, label, name.decode("utf-8", "surrogateescape"))

    @property
    def order(self) -> NDArray[np.intp]:
        """The samples as they lie in the shards."""
        return np.lexsort((self.index["offset"], self.index["shard"]))


def is_packed(root: Path) -> bool:
    """Whether a manifest is there; why one cannot be looked for is told when the data are opened."""
    try:
        return (root / MANIFEST).is_file()
    except OSError:
        return False


def open_shards(root: Path) -> Parts:
    manifest = read_manifest(root)
    held_out = Shards.open(root, "val") if manifest.val else None
    return Parts(tuple(manifest.classes), Shards.open(root, "train"), held_out)


def read_manifest(root: Path) -> Manifest:
    """Raises `Failure` where it is none of ours."""
    path = root / MANIFEST
    try:
        with path.open("rb") as file:
            return Manifest.model_validate_json(file.read(MANIFEST_BYTES))
    except OSError as error:
        raise Failure(f"cannot read {quote(path)}: {reason(error)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "its text"
        message = (
            f"{quote(path)} is no manifest of packed data: {quote(place)} is wrong, {first['msg']}"
        )
        raise Failure(message, "`archspec data pack` writes one") from error


def index_file(name: str) -> str:
    return f"{name}.npy"


def _refuse_lengths(root: Path, part: Packed) -> None:
    """What can be seen of the shards without reading them."""
    for shard in part.shards:
        path = root / shard.file
        try:
            found = path.stat().st_size
        except OSError as error:
            raise Failure(f"cannot read {quote(path)}: {reason(error)}", AGAIN) from error
        if found != shard.bytes:
            raise Failure(
                f"{quote(path)} has {found:,} bytes, and {shard.bytes:,} in {MANIFEST}", AGAIN
            )


def _read_index(path: Path) -> NDArray[Any]:
    """The index, mapped and not read; nothing in it can run code, and it is no longer than its file."""
    try:
        index: NDArray[Any] = open_memmap(path, mode="r")
    except HEADER_ERRORS as error:
        why = getattr(error, "strerror", None) or "it is no index, or it is damaged"
        raise Failure(f"cannot read {quote(path)}: {why.lower()}", AGAIN) from error
    longest = (
        index.dtype["name"].itemsize if index.dtype.names and "name" in index.dtype.names else 0
    )
    if index.ndim != 1 or index.dtype != index_type(longest):
        raise Failure(f"cannot read {quote(path)}: it is no index of samples", AGAIN)
    return index


def _misplaced(index: NDArray[Any], part: Packed, classes: int) -> str:
    """What an index says that cannot be; all of it may be a stranger's."""
    if len(index) != part.samples:
        return f"{len(index):,} samples, and {part.samples:,}"
    shard, offset, size = (
        np.asarray(index[name]).astype(np.int64) for name in ("shard", "offset", "size")
    )
    if (shard >= len(part.shards)).any():
        return "a sample lies in a shard that is not there"
    counts = np.bincount(shard, minlength=len(part.shards))
    if counts.tolist() != [shard.samples for shard in part.shards]:
        return "a shard has more samples, or fewer"
    room = np.array([shard.bytes for shard in part.shards])[shard]
    if (
        (size < 0).any()
        or (size > LARGEST).any()
        or (offset < 0).any()
        or (offset > room - size).any()
    ):
        return "a sample reaches beyond its shard"
    if (index["label"] < 0).any() or (index["label"] >= classes).any():
        return f"a label is none of {classes} classes"
    return ""


def damaged(root: Path) -> list[tuple[str, str]]:
    """Each file that is not what was packed, and why; reads all of them."""
    manifest = read_manifest(root)
    found: list[tuple[str, str]] = []
    for name, part in manifest.parts.items():
        for file, digest in (
            (index_file(name), part.index),
            *((shard.file, shard.sha256) for shard in part.shards),
        ):
            try:
                with (root / file).open("rb") as content:
                    if file_digest(content, "sha256").hexdigest() != digest:
                        found.append((file, f"its checksum is not that of {MANIFEST}"))
            except OSError as error:
                found.append((file, reason(error)))
    return found
