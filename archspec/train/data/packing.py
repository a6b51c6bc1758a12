"""Packing a set: its pictures, as they are or scaled down, into shards that are written whole or not at all.

The same set makes the same bytes. What is trained on lies in an order that its names draw, so that those who read a
shard from end to end meet all classes; what is held out lies as evaluation reads it. The index keeps the set's order.
"""

from __future__ import annotations

import tarfile
from contextlib import suppress
from hashlib import file_digest, sha256
from io import BufferedWriter, BytesIO
from os import PathLike
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from archspec.build_folder import replace_folder
from archspec.diagnostics import Failure, quote, reason, writing
from archspec.images import Unreadable, opened, read_picture, shorter_side
from archspec.ir.document import Preprocess
from archspec.train.data.opening import open_parts, refuse_within
from archspec.train.data.shards import (
    FORMAT,
    MANIFEST,
    Manifest,
    Packed,
    PartName,
    Shard,
    index_file,
    index_type,
)
from archspec.train.data.source import LARGEST, Content, Sample, Source, Watch, unwatched

SHARD_SIZE = 256 * 10**6
QUALITY = 95
"""Of JPEGs that are scaled down."""


def pack(
    where: str | PathLike[str],
    output: Path,
    *,
    shard_size: int = SHARD_SIZE,
    size: int | None = None,
    watch: Watch = unwatched,
) -> Manifest:
    """Writes the shards of a set, with their index and manifest, into a folder that is new.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     made = pack("digits", Path(folder) / "packed")
    ...     sorted(path.name for path in Path(folder, "packed").iterdir()), made.train.samples
    (['shards.json', 'train-00000.tar', 'train.npy'], 1797)

    With `size`, a picture whose shorter side is longer is scaled down to it. Raises `Failure`, and leaves nothing
    behind, where a file cannot be read or written, or is no picture; the pixels of one that goes in as it is are
    `check`'s.
    """
    parts = open_parts(where)
    refuse_within(where, output)
    with writing(output):
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise Failure(f"{quote(output)} is there already", "`-o` names another folder")
    for name in parts.classes:
        if not name.isascii() and name.encode("utf-8", "replace").decode() != name:
            raise Failure(
                f"the class {quote(name)} has a name that is no UTF-8",
                "a manifest cannot have it: rename it",
            )
    made: list[Manifest] = []

    def fill(staging: Path) -> None:
        train = _pack(parts.train, staging, "train", shard_size, size, watch)
        val = (
            None
            if parts.held_out is None
            else _pack(parts.held_out, staging, "val", shard_size, size, watch)
        )
        made.append(
            Manifest(format=FORMAT, classes=list(parts.classes), size=size, train=train, val=val)
        )
        (staging / MANIFEST).write_text(made[0].model_dump_json(indent=1) + "\n", encoding="utf-8")

    replace_folder(output, fill)
    return made[0]


def _pack(
    source: Source, folder: Path, part: PartName, limit: int, size: int | None, watch: Watch
) -> Packed:
    names = [
        source[number].name.encode("utf-8", "surrogateescape") for number in range(len(source))
    ]
    index = np.empty(len(names), index_type(max(map(len, names))))
    order = range(len(names))
    drawn = sorted(order, key=lambda number: sha256(names[number]).digest())
    with _Shards(folder, part, limit) as shards:
        for done, number in enumerate(drawn if part == "train" else order):
            sample = source[number]
            suffix, content = _file(sample, size)
            place = shards.add(f"{done:08}", {suffix: content, "cls": str(sample.label).encode()})
            index[number] = (*place, len(content), sample.label, names[number])
            watch(part, done + 1, len(names))
    written = BytesIO()
    np.save(written, index, allow_pickle=False)
    (folder / index_file(part)).write_bytes(written.getvalue())
    return Packed(
        samples=len(names), index=sha256(written.getvalue()).hexdigest(), shards=shards.written
    )


class _Shards:
    """The tar files of a part, each begun when the one before it is full."""

    def __init__(self, folder: Path, part: PartName, limit: int) -> None:
        self.folder, self.part, self.limit = folder, part, limit
        self.written: list[Shard] = []
        self.tar: tarfile.TarFile | None = None
        self.file: BufferedWriter | None = None
        self.samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        elif self.file is not None:
            with suppress(OSError):  # what it could not write is why we are here
                self.file.close()

    def add(self, key: str, files: dict[str, bytes]) -> tuple[int, int]:
        """Writes a sample's files, called by `key` and their suffixes: into which shard, and where the first begins."""
        blocks = 2 + sum(1 + -(-len(content) // tarfile.BLOCKSIZE) for content in files.values())
        if self.tar is not None:
            length = self.tar.offset + blocks * tarfile.BLOCKSIZE
            if (
                -(-length // tarfile.RECORDSIZE) * tarfile.RECORDSIZE > self.limit
            ):  # what the end is padded to
                self.close()
        if self.tar is None:
            self.file = self._path.open("wb")
            # Names this short leave a file's header one block long.
            self.tar = tarfile.open(fileobj=self.file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        place = len(self.written), self.tar.offset + tarfile.BLOCKSIZE
        for suffix, content in files.items():
            about = tarfile.TarInfo(f"{key}.{suffix}")
            about.size = len(content)
            self.tar.addfile(about, BytesIO(content))
        self.samples += 1
        return place

    def close(self) -> None:
        if self.tar is None or self.file is None:
            return
        self.tar.close()
        self.file.close()
        with self._path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        size = self._path.stat().st_size
        self.written.append(
            Shard(file=self._path.name, samples=self.samples, bytes=size, sha256=digest)
        )
        self.tar, self.file, self.samples = None, None, 0

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.part}-{len(self.written):05}.tar"


def _file(sample: Sample, size: int | None) -> tuple[str, bytes]:
    """A picture's file, told by its suffix: its own, or where it has none, or is scaled down, a new one."""
    picture = sample.picture
    if isinstance(picture, np.ndarray):
        content = _png(picture)
    else:
        content = picture if isinstance(picture, bytes) else _content(sample.name, picture)
    with opened(content, sample.name) as image:
        kind, shorter = {"MPO": "JPEG"}.get(image.format or "", image.format or ""), min(image.size)
    if size is not None and shorter > size:
        image = read_picture(content, Preprocess(), sample.name)
        image = image.resize(shorter_side(image.size, size), Image.Resampling.BICUBIC)
        kind = "JPEG" if kind == "JPEG" else "PNG"
        content = _encoded(image, kind)
    return kind.lower(), content


def _png(pixels: NDArray[np.generic]) -> bytes:
    if pixels.dtype != np.uint8:
        raise Failure(
            "these data are no pictures, and cannot be packed",
            "an .npz file holds values of any kind",
        )
    return _encoded(Image.fromarray(pixels), "PNG")


def _encoded(image: Image.Image, kind: str) -> bytes:
    written = BytesIO()
    image.save(written, kind, quality=QUALITY)
    return written.getvalue()


def _content(name: str, picture: Path | Content) -> bytes:
    try:
        if isinstance(picture, Content):
            return picture.read()
        with picture.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unreadable(f"cannot read {quote(name)}: {reason(error)}") from error
    if len(content) > LARGEST:
        raise Unreadable(
            f"{quote(name)} has more than {LARGEST:,} bytes, which is too much for a picture"
        )
    return content
