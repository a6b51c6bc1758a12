"""Pictures in folders, one for each class, laid out as ImageNet is: DIR/train/CLASS/*, DIR/val/CLASS/*."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.train.data.source import Files, Parts

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
VALIDATION = ("val", "valid", "validation")


def open_folder(root: Path) -> Parts:
    """The pictures of `root`, whose classes lie in it, or in its `train` and, where it has one, `val`."""
    found = _folders(root)
    train = root / "train"
    others = set(found) - {"train", *VALIDATION, "test"}
    if "train" not in found or (others and not _listed(train)):  # a class may be called so
        return Parts(found, _files(root, root, found, found))
    classes = _folders(train)
    held_out = None
    if names := [name for name in VALIDATION if name in found]:
        if names[1:]:
            raise Failure(
                f"{quote(root)} has {' and '.join(map(quote, names))}",
                "keep the one to validate on",
            )
        val = root / names[0]
        present = _folders(val)
        for name in present:
            if name not in classes:
                message = f"the class {quote(name)} of {quote(val)} is none of {quote(train)}"
                raise Failure(message, did_you_mean(name, classes, "classes"))
        held_out = _files(root, val, classes, present)
    return Parts(classes, _files(root, train, classes, classes), held_out)


def passed_over(parts: Parts) -> tuple[str, ...]:
    """The files below a folder of pictures that are no samples of it; those that are hidden are not meant to be."""
    sources = [source for source in (parts.train, parts.held_out) if isinstance(source, Files)]
    samples = {name for source in sources for name in source.names}
    found: list[str] = []
    for root in {source.root for source in sources}:
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            names = (
                Path(folder, name).relative_to(root).as_posix()
                for name in sorted(files)
                if name[0] != "."
            )
            found += [name for name in names if name not in samples]
    return tuple(found)


def _folders(folder: Path) -> tuple[str, ...]:
    """The names of the classes."""
    found = _listed(folder)
    if not found:
        raise Failure(
            f"{quote(folder)} has no folders",
            "put the pictures of each class into a folder of its name",
        )
    return found


def _listed(folder: Path) -> tuple[str, ...]:
    """The folders in it, sorted; what is hidden is none."""
    return tuple(
        sorted(
            path.name
            for path in folder.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )
    )


def _files(root: Path, folder: Path, classes: Sequence[str], present: Sequence[str]) -> Files:
    """The pictures of those classes that are there."""
    names: list[str] = []
    labels: list[int] = []
    for name in present:
        found = _pictures(folder / name)
        names += [path.relative_to(root).as_posix() for path in found]
        labels += [classes.index(name)] * len(found)
    return Files(root, tuple(names), tuple(labels))


def _pictures(folder: Path) -> list[Path]:
    found = sorted(
        p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
    )
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise Failure(
            f"the class {quote(folder)} has no pictures", f"pictures are files that end in {kinds}"
        )
    return found
