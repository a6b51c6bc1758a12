"""Packing a set: its images, as they are or scaled down, in shards that are written atomically.

The same set makes the same bytes. Training samples are shuffled by a hash of their names, so that
readers of a shard from end to end meet all classes; validation samples keep the order in which they
are evaluated. The index keeps the set's order.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import file_digest, sha256
from io import BufferedWriter, BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from archspec._files import read_bytes
from archspec.build_folder import replace_folder
from archspec.diagnostics import Failure, quote, reason, writing
from archspec.images import UnreadableSample, open_image, read_image, shorter_side
from archspec.ir.document import Preprocess
from archspec.train.data.folder import describe_ignored
from archspec.train.data.opening import check_not_inside, open_dataset
from archspec.train.data.shards import (
    FORMAT,
    MANIFEST,
    Manifest,
    PackedPart,
    PartName,
    Shard,
    index_file,
    index_type,
)
from archspec.train.data.source import (
    MAX_FILE_BYTES,
    DataSource,
    FileSlice,
    OnProgress,
    RemovedImage,
    Sample,
    ignore_progress,
)

SHARD_SIZE = 256 * 10**6
JPEG_QUALITY = 95
"""The quality of JPEGs that are scaled down."""


def pack(
    where: str | PathLike[str],
    output: Path,
    *,
    shard_size: int = SHARD_SIZE,
    size: int | None = None,
    on_progress: OnProgress = ignore_progress,
    on_note: Callable[[str], object] = str,
) -> Manifest:
    """Write the shards of a set, with their index and manifest, into a new folder.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     packed = pack("digits", Path(folder) / "packed")
    ...     sorted(path.name for path in Path(folder, "packed").iterdir()), packed.train.samples
    (['shards.json', 'train-00000.tar', 'train.npy'], 1797)

    With `size`, images are scaled down to that shorter side. `on_note` is called with notes for the
    user. Raises `Failure`, and leaves nothing behind, if a file cannot be read or written or is not
    an image. The pixels of images that are packed as they are get checked by `check_data` alone.
    """
    dataset = open_dataset(where)
    if dataset.ignored:
        on_note(f"note: {describe_ignored(dataset.ignored)}")
    check_not_inside(where, output)
    _check_output(output)
    _check_class_names(dataset.classes)
    manifests: list[Manifest] = []

    def fill(staging: Path) -> None:
        train = _pack_part(dataset.train, staging, "train", shard_size, size, on_progress)
        val = None
        if dataset.validation is not None:
            val = _pack_part(dataset.validation, staging, "val", shard_size, size, on_progress)
        classes = list(dataset.classes)
        manifest = Manifest(format=FORMAT, classes=classes, size=size, train=train, val=val)
        text = manifest.model_dump_json(indent=1) + "\n"
        (staging / MANIFEST).write_text(text, encoding="utf-8")
        manifests.append(manifest)

    replace_folder(output, fill, on_note)
    return manifests[0]


def _check_output(output: Path) -> None:
    with writing(output):
        is_free = not output.exists() or (output.is_dir() and not any(output.iterdir()))
    if not is_free:
        raise Failure(f"{quote(output)} already exists", "`-o` names another folder")


def _check_class_names(names: Sequence[str]) -> None:
    for name in names:
        if not name.isascii() and name.encode("utf-8", "replace").decode() != name:
            message = f"the name of the class {quote(name)} is not UTF-8"
            raise Failure(message, "a manifest cannot contain it: rename it")


def _pack_part(
    source: DataSource,
    folder: Path,
    part: PartName,
    shard_size: int,
    size: int | None,
    on_progress: OnProgress,
) -> PackedPart:
    names = [
        source[number].name.encode("utf-8", "surrogateescape") for number in range(len(source))
    ]
    index = np.empty(len(names), index_type(max(map(len, names))))
    order = list(range(len(names)))
    if part == "train":
        order.sort(key=lambda number: sha256(names[number]).digest())
    with _ShardWriter(folder, part, shard_size) as shards:
        for done, number in enumerate(order):
            sample = source[number]
            suffix, content = _image_file(sample, size)
            label = str(sample.label).encode()
            location = shards.add(f"{done:08}", {suffix: content, "cls": label})
            index[number] = (*location, len(content), sample.label, names[number])
            on_progress(part, done + 1, len(names))
    content = _npy(index)
    (folder / index_file(part)).write_bytes(content)
    digest = sha256(content).hexdigest()
    return PackedPart(samples=len(names), index=digest, shards=shards.written)


def _npy(array: NDArray[Any]) -> bytes:
    content = BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


class _ShardWriter:
    """Writes the tar files of a part; each begins when the one before it is full."""

    def __init__(self, folder: Path, part: PartName, limit: int) -> None:
        self.folder = folder
        self.part = part
        self.limit = limit
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
            # A failed write may be why we are here: closing would only fail again.
            with suppress(OSError):
                self.file.close()

    def add(self, key: str, files: dict[str, bytes]) -> tuple[int, int]:
        """Write a sample's files, named by `key` and their suffixes.

        Returns the number of the shard, and the offset of the first file's content in it.
        """
        blocks = 2 + sum(1 + -(-len(content) // tarfile.BLOCKSIZE) for content in files.values())
        if self.tar is not None:
            length = self.tar.offset + blocks * tarfile.BLOCKSIZE
            # A tar file is padded to whole records.
            padded = -(-length // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
            if padded > self.limit:
                self.close()
        if self.tar is None:
            self.file = self._path.open("wb")
            # Names this short leave a file's header one block long.
            # `close` closes it, or the next shard does.
            self.tar = tarfile.open(  # noqa: SIM115
                fileobj=self.file, mode="w", format=tarfile.USTAR_FORMAT
            )
        location = len(self.written), self.tar.offset + tarfile.BLOCKSIZE
        for suffix, content in files.items():
            entry = tarfile.TarInfo(f"{key}.{suffix}")
            entry.size = len(content)
            self.tar.addfile(entry, BytesIO(content))
        self.samples += 1
        return location

    def close(self) -> None:
        if self.tar is None or self.file is None:
            return
        self.tar.close()
        self.file.close()
        path = self._path
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
        shard = Shard(file=path.name, samples=self.samples, bytes=size, sha256=digest)
        self.written.append(shard)
        self.tar = None
        self.file = None
        self.samples = 0

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.part}-{len(self.written):05}.tar"


def _image_file(sample: Sample, size: int | None) -> tuple[str, bytes]:
    """Return the suffix and content of an image's file.

    It is the image's own file, or a new one if it has none or is scaled down.
    """
    content = _content(sample)
    with open_image(content, sample.name) as image:
        # An MPO is a JPEG with further images.
        kind = "JPEG" if image.format == "MPO" else image.format or ""
        shorter = min(image.size)
    if size is not None and shorter > size:
        image = read_image(content, Preprocess(), sample.name)
        image = image.resize(shorter_side(image.size, size), Image.Resampling.BICUBIC)
        kind = "JPEG" if kind == "JPEG" else "PNG"
        content = _encode(image, kind)
    return kind.lower(), content


def _content(sample: Sample) -> bytes:
    image = sample.image
    if isinstance(image, np.ndarray):
        return _png(image)
    if isinstance(image, RemovedImage):
        raise UnreadableSample(f"{quote(sample.name)} is gone")
    return image if isinstance(image, bytes) else _read_file(sample.name, image)


def _png(pixels: NDArray[np.generic]) -> bytes:
    if pixels.dtype != np.uint8:
        help = "an .npz file holds values of any kind"
        raise Failure("these data are not images and cannot be packed", help)
    return _encode(Image.fromarray(pixels), "PNG")


def _encode(image: Image.Image, kind: str) -> bytes:
    content = BytesIO()
    image.save(content, kind, quality=JPEG_QUALITY)
    return content.getvalue()


def _read_file(name: str, image: Path | FileSlice) -> bytes:
    try:
        if isinstance(image, FileSlice):
            return image.read()
        content = read_bytes(image, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnreadableSample(f"cannot read {quote(name)}: {reason(error)}") from error
    if len(content) > MAX_FILE_BYTES:
        message = f"{quote(name)} has more than {MAX_FILE_BYTES:,} bytes, too many for an image"
        raise UnreadableSample(message)
    return content
