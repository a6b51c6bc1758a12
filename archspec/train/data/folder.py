"""Pictures in folders, one for each class, laid out as ImageNet is: DIR/train/CLASS/*, DIR/val/CLASS/*."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.train.data.source import Files, Parts

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def open_folder(root: Path) -> Parts:
    """The pictures of `root`, whose classes lie in it, or in its `train` and, where it has one, `val`."""
    train, val = root / "train", root / "val"
    if not train.is_dir():
        classes = _folders(root)
        return Parts(classes, _files(root, root, classes))
    classes = _folders(train)
    held_out = None
    if val.is_dir():
        for name in _folders(val):
            if name not in classes:
                message = f"the class {quote(name)} of {quote(val)} is none of {quote(train)}"
                raise Failure(message, did_you_mean(name, classes, "classes"))
        held_out = _files(root, val, classes)
    return Parts(classes, _files(root, train, classes), held_out)


def _folders(folder: Path) -> tuple[str, ...]:
    """The names of the classes, sorted; what is hidden and what is no folder is none."""
    found = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise Failure(f"{quote(folder)} has no folders", "put the pictures of each class into a folder of its name")
    return tuple(found)


def _files(root: Path, folder: Path, classes: Sequence[str]) -> Files:
    names: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = _pictures(folder / name)
        names += [path.relative_to(root).as_posix() for path in found]
        labels += [label] * len(found)
    return Files(root, tuple(names), tuple(labels))


def _pictures(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise Failure(f"the class {quote(folder)} has no pictures", f"pictures are files that end in {kinds}")
    return found
