"""Specs given as text: written to a folder that is gone afterwards, and checked there."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from archspec.spec import Spec, load


@contextmanager
def written(text: str | bytes) -> Generator[Path]:
    """A file that holds the text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        yield path


def checked(text: str) -> Spec:
    """The checked spec; raises `SpecError`."""
    with written(text) as path:
        return load(path)
