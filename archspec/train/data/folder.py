"""Images in folders, one per class, laid out as ImageNet is: DIR/train/CLASS/*, DIR/val/CLASS/*.

Those in folders below a class are of the class too. What a name with a dot begins is hidden.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.train.data.source import Dataset, FileSource

IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .j2c .j2k .jfif .jp2 .jpe .jpeg .jpf .jpg .jpx .pbm .pgm .png .pnm .ppm "
    ".qoi .tif .tiff .webp".split()
)
"""The suffixes of the formats that are read: see `archspec.images.FORMATS`."""
MAX_NAMED_FILES = 3
"""The most ignored files that are named."""
VALIDATION = ("val", "valid", "validation")


def open_folder(root: Path) -> Dataset:
    """Open the images of `root`: its folders are classes, or `train` and maybe `val` with these."""
    folders = _folders(root)
    if not _has_parts(root, folders):
        source, ignored = _files(root, root, folders, folders)
        return Dataset(folders, source, ignored=ignored)
    train = root / "train"
    classes = _folders(train)
    source, ignored = _files(root, train, classes, classes)
    parts = [name for name in VALIDATION if name in folders]
    if not parts:
        return Dataset(classes, source, ignored=ignored)
    if parts[1:]:
        names = " and ".join(map(quote, parts))
        raise Failure(f"{quote(root)} has {names}", "keep the one to validate on")
    validation = root / parts[0]
    present = _folders(validation)
    for name in present:
        if name not in classes:
            message = f"{quote(validation)} has a class {quote(name)} that {quote(train)} has not"
            raise Failure(message, did_you_mean(name, classes, "classes"))
    of_validation, also_ignored = _files(root, validation, classes, present)
    return Dataset(classes, source, of_validation, ignored + also_ignored)


def _has_parts(root: Path, folders: Sequence[str]) -> bool:
    """Return whether `train` is the training part, and not a class that is called so."""
    others = set(folders) - {"train", *VALIDATION, "test"}
    return "train" in folders and (not others or bool(_visible_folders(root / "train")))


def ignored_files(dataset: Dataset) -> tuple[str, ...]:
    """Return the files below a folder of images that are not samples of it, but for hidden ones.

    `Dataset.ignored` has only those of the parts that are read.
    """
    parts = (dataset.train, dataset.validation)
    sources = [source for source in parts if isinstance(source, FileSource)]
    samples = {name for source in sources for name in source.names}
    ignored: list[str] = []
    for root in {source.root for source in sources}:
        names = (path.relative_to(root).as_posix() for path in _walk(root))
        ignored += [name for name in names if name not in samples]
    return tuple(ignored)


def describe_ignored(names: Sequence[str]) -> str:
    """Describe files that are not samples: their number, and the first few by name.

    >>> describe_ignored(["a/notes.txt", "README"])
    'files that are not images of a class, ignored: `a/notes.txt`, `README` (2 in all)'
    """
    listed = ", ".join(map(quote, names[:MAX_NAMED_FILES]))
    if names[MAX_NAMED_FILES:]:
        listed += ", ..."
    return f"files that are not images of a class, ignored: {listed} ({len(names):,} in all)"


def _folders(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes."""
    names = _visible_folders(folder)
    if not names:
        help = "put the images of each class into a folder of its name"
        raise Failure(f"{quote(folder)} has no folders", help)
    return names


def _visible_folders(folder: Path) -> tuple[str, ...]:
    paths = (path for path in folder.iterdir() if path.is_dir())
    return tuple(sorted(path.name for path in paths if not path.name.startswith(".")))


def _files(
    root: Path, folder: Path, classes: Sequence[str], present: Sequence[str]
) -> tuple[FileSource, tuple[str, ...]]:
    """Return the images of the classes that are present, and the names of other files."""
    names: list[str] = []
    labels: list[int] = []
    ignored = [path for path in sorted(folder.iterdir()) if _is_visible_file(path)]
    for name in present:
        paths = list(_walk(folder / name))
        images = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
        if not images:
            kinds = ", ".join(suffix[1:] for suffix in sorted(IMAGE_SUFFIXES))
            help = f"images are files that end in {kinds}"
            raise Failure(f"the class {quote(folder / name)} has no images", help)
        names += [path.relative_to(root).as_posix() for path in images]
        labels += [classes.index(name)] * len(images)
        ignored += [path for path in paths if path.suffix.lower() not in IMAGE_SUFFIXES]
    others = tuple(path.relative_to(root).as_posix() for path in ignored)
    return FileSource(root, tuple(names), tuple(labels)), others


def _is_visible_file(path: Path) -> bool:
    return not path.name.startswith(".") and not path.is_dir()


def _walk(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Path]:
    """Yield the files below a folder, in the order of their names, but for hidden ones.

    Links are followed, except to a folder that they lie in.
    """
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as found:
        # An entry knows whether it is a folder: of a million files none is asked.
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), above | {here})
        else:
            yield Path(entry.path)
