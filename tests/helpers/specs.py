"""Specs given as text: written to a folder that is gone afterwards, and checked there."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from archspec.compiler import load
from archspec.frontend.loader import Spec

TWO_HEADS = """archspec: 1
name: net
input: [2, 6, 6]
args: {drop: 0.0}
network:
  - {name: one, conv: {out: 4, kernel: 3, bias: false}}
  - {name: bn, batch_norm: {}}
  - {name: act, tanh: , aux: side}
  - {name: rest, flatten: , from: act}
  - dropout: {rate: $drop}
  - {name: two, linear: {out: 4}}
blocks:
  auxiliary: {body: [global_avg_pool, flatten, {name: fc, linear: {out: 4}}]}
heads:
  main: {}
  side: {block: auxiliary, weight: 0.3, only: train}
"""
"""All that training treats in a way of its own: batch norm, dropout, a bias taken away, a head for
training alone.
"""


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
