"""Packed sets: images in tar files laid out as WebDataset's, with an index and a manifest.

DIR/ holds `shards.json`, the manifest below. Each part, `train` and maybe `val`, has its shards
`train-00000.tar` ... and its index `train.npy`: where each sample lies, in the order of the set
that was packed. A sample is two files of a shard, `00000012.jpeg` and its label `00000012.cls`.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pydantic import Field

from archspec._files import check_file, open_file
from archspec._json import Digest, JsonError, read_json
from archspec.diagnostics import Failure, quote, reason
from archspec.ir.section import Section
from archspec.ir.types import Positive
from archspec.train.data.npz import HEADER_ERRORS
from archspec.train.data.source import MAX_FILE_BYTES, Dataset, FileSlice, Sample

MANIFEST = "shards.json"
FORMAT: Literal["archspec-shards-1"] = "archspec-shards-1"
PartName = Literal["train", "val"]
COPY_AGAIN = "the copy is incomplete or changed: copy it again, or pack the set again"


class Shard(Section):
    """One tar file. The pattern of its name keeps it inside the folder."""

    file: Annotated[str, Field(pattern="^(train|val)-[0-9]{5,9}[.]tar$")]
    samples: Positive
    bytes: Positive
    sha256: Digest


class PackedPart(Section):
    """The shards of a part, in order, and the hash of its index."""

    samples: Positive
    index: Digest
    shards: list[Shard]


class Manifest(Section):
    """The contents of `shards.json`; `size` is the shorter side that images were scaled down to."""

    format: Literal["archspec-shards-1"]
    classes: list[str]
    size: Positive | None
    train: PackedPart
    val: PackedPart | None

    @property
    def parts(self) -> dict[PartName, PackedPart]:
        parts: dict[PartName, PackedPart] = {"train": self.train}
        if self.val is not None:
            parts["val"] = self.val
        return parts


def index_type(longest: int) -> np.dtype[Any]:
    """Return the type of an index row: the shard, the image's offset and bytes, its label and name.

    `longest` is the number of bytes of the longest name.
    """
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
class ShardSource:
    """The samples of a part; each is read from its shard when asked for."""

    root: Path
    name: PartName
    files: tuple[str, ...]
    index: NDArray[Any]

    @classmethod
    def open(cls, root: Path, name: PartName) -> ShardSource:
        """Open a part; raise `Failure` if the manifest, a shard and the index do not agree.

        Hashes are not checked here: see `damaged_files`.
        """
        manifest = read_manifest(root)
        part = manifest.parts[name]
        _check_sizes(root, part)
        path = root / index_file(name)
        index = _read_index(path)
        if wrong := _index_error(index, part, len(manifest.classes)):
            raise Failure(f"{quote(path)} and {MANIFEST} differ: {wrong}", COPY_AGAIN)
        return cls(root, name, tuple(shard.file for shard in part.shards), index)

    def __reduce__(self) -> tuple[Any, ...]:
        """Have each process open it anew: the memory-mapped index is shared."""
        return ShardSource.open, (self.root, self.name)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> Sample:
        row: tuple[int, int, int, int, bytes] = self.index[index].item()
        shard, offset, size, label, name = row
        content = FileSlice(self.root / self.files[shard], offset, size)
        return Sample(content, label, name.decode("utf-8", "surrogateescape"))

    @property
    def order(self) -> NDArray[np.intp]:
        """The indices of the samples in the order they have in the shards."""
        return np.lexsort((self.index["offset"], self.index["shard"]))


def is_packed(root: Path) -> bool:
    """Return whether there is a manifest; an error is left to whoever opens the data."""
    try:
        return (root / MANIFEST).is_file()
    except OSError:
        return False


def open_shards(root: Path) -> Dataset:
    manifest = read_manifest(root)
    validation = ShardSource.open(root, "val") if manifest.val else None
    return Dataset(tuple(manifest.classes), ShardSource.open(root, "train"), validation)


def read_manifest(root: Path) -> Manifest:
    """Read the manifest; raise `Failure` if it is not one."""
    path = root / MANIFEST
    try:
        return read_json(path, Manifest)
    except OSError as error:
        raise Failure(f"cannot read {quote(path)}: {reason(error)}") from error
    except JsonError as error:
        message = f"{quote(path)} is not a manifest of packed data: {error}"
        raise Failure(message, "`archspec data pack` writes one") from error


def index_file(name: str) -> str:
    return f"{name}.npy"


def _check_sizes(root: Path, part: PackedPart) -> None:
    """Raise `Failure` for a shard that is missing or has another length than in the manifest."""
    for shard in part.shards:
        path = root / shard.file
        try:
            size = path.stat().st_size
        except OSError as error:
            raise Failure(f"cannot read {quote(path)}: {reason(error)}", COPY_AGAIN) from error
        if size != shard.bytes:
            message = f"{quote(path)} has {size:,} bytes, but {shard.bytes:,} in {MANIFEST}"
            raise Failure(message, COPY_AGAIN)


def _read_index(path: Path) -> NDArray[Any]:
    """Map the index into memory; nothing in it can run code, and it is no longer than its file."""
    try:
        check_file(path)
        index: NDArray[Any] = open_memmap(path, mode="r")
    except HEADER_ERRORS as error:
        why = getattr(error, "strerror", None) or "not an index, or damaged"
        raise Failure(f"cannot read {quote(path)}: {why.lower()}", COPY_AGAIN) from error
    has_names = index.dtype.names and "name" in index.dtype.names
    longest = index.dtype["name"].itemsize if has_names else 0
    if index.ndim != 1 or index.dtype != index_type(longest):
        raise Failure(f"cannot read {quote(path)}: not an index of samples", COPY_AGAIN)
    return index


def _index_error(index: NDArray[Any], part: PackedPart, classes: int) -> str:
    """Return what is impossible in an index, or an empty string. All of it may be a stranger's."""
    if len(index) != part.samples:
        return f"{len(index):,} samples, and {part.samples:,}"
    # In a wide type, so that no sum below overflows.
    shard, offset, size = (
        np.asarray(index[name]).astype(np.int64) for name in ("shard", "offset", "size")
    )
    if (shard >= len(part.shards)).any():
        return "a sample lies in a shard that does not exist"
    counts = np.bincount(shard, minlength=len(part.shards))
    if counts.tolist() != [entry.samples for entry in part.shards]:
        return "a shard has another number of samples"
    shard_bytes = np.array([entry.bytes for entry in part.shards])[shard]
    is_outside = (offset < 0) | (offset > shard_bytes - size)
    if is_outside.any() or (size < 0).any() or (size > MAX_FILE_BYTES).any():
        return "a sample reaches beyond its shard"
    if (index["label"] < 0).any() or (index["label"] >= classes).any():
        return f"a label is not one of {classes} classes"
    return ""


def damaged_files(root: Path) -> list[tuple[str, str]]:
    """Read all files; return each that is not what was packed, and why."""
    manifest = read_manifest(root)
    damaged: list[tuple[str, str]] = []
    for name, part in manifest.parts.items():
        digests = {index_file(name): part.index}
        digests |= {shard.file: shard.sha256 for shard in part.shards}
        for file, digest in digests.items():
            if why := _damage(root / file, digest):
                damaged.append((file, why))
    return damaged


def _damage(path: Path, digest: str) -> str:
    try:
        with open_file(path) as content:
            if file_digest(content, "sha256").hexdigest() == digest:
                return ""
    except OSError as error:
        return reason(error)
    return f"its checksum is not that of {MANIFEST}"
