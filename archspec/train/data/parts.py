"""What a set of data consists of, before anything is held out."""

from __future__ import annotations

from dataclasses import dataclass

from archspec.train.data.source import Source


@dataclass(frozen=True)
class Parts:
    """The names of the classes, what is trained on, and what the set itself has for validation."""

    classes: tuple[str, ...]
    train: Source
    held_out: Source | None = None
