"""Images in folders, one per class, laid out as ImageNet is: DIR/train/CLASS/*, DIR/val/CLASS/*."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.train.data.source import Dataset, FileSource

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
VALIDATION = ("val", "valid", "validation")


def open_folder(root: Path) -> Dataset:
    """Open the images of `root`: its folders are classes, or `train` and maybe `val` with these."""
    folders = _folders(root)
    if not _has_parts(root, folders):
        return Dataset(folders, _files(root, root, folders, folders))
    train = root / "train"
    classes = _folders(train)
    source = _files(root, train, classes, classes)
    parts = [name for name in VALIDATION if name in folders]
    if not parts:
        return Dataset(classes, source)
    if parts[1:]:
        names = " and ".join(map(quote, parts))
        raise Failure(f"{quote(root)} has {names}", "keep the one to validate on")
    validation = root / parts[0]
    present = _folders(validation)
    for name in present:
        if name not in classes:
            message = f"{quote(validation)} has a class {quote(name)} that {quote(train)} has not"
            raise Failure(message, did_you_mean(name, classes, "classes"))
    return Dataset(classes, source, _files(root, validation, classes, present))


def _has_parts(root: Path, folders: Sequence[str]) -> bool:
    """Return whether `train` is the training part, and not a class that is called so."""
    others = set(folders) - {"train", *VALIDATION, "test"}
    return "train" in folders and (not others or bool(_visible_folders(root / "train")))


def ignored_files(dataset: Dataset) -> tuple[str, ...]:
    """Return the files below a folder of images that are not samples of it, but for hidden ones."""
    parts = (dataset.train, dataset.validation)
    sources = [source for source in parts if isinstance(source, FileSource)]
    samples = {name for source in sources for name in source.names}
    ignored: list[str] = []
    for root in {source.root for source in sources}:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            shown = sorted(name for name in files if not name.startswith("."))
            names = (Path(folder, name).relative_to(root).as_posix() for name in shown)
            ignored += [name for name in names if name not in samples]
    return tuple(ignored)


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


def _files(root: Path, folder: Path, classes: Sequence[str], present: Sequence[str]) -> FileSource:
    """Return the images of the classes that are present."""
    names: list[str] = []
    labels: list[int] = []
    for name in present:
        images = _images(folder / name)
        names += [path.relative_to(root).as_posix() for path in images]
        labels += [classes.index(name)] * len(images)
    return FileSource(root, tuple(names), tuple(labels))


def _images(folder: Path) -> list[Path]:
    visible = (path for path in folder.iterdir() if not path.name.startswith("."))
    images = sorted(path for path in visible if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        kinds = ", ".join(suffix[1:] for suffix in IMAGE_SUFFIXES)
        help = f"images are files that end in {kinds}"
        raise Failure(f"the class {quote(folder)} has no images", help)
    return images
