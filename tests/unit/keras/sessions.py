"""Sessions of a spec with given weights, on any backend."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.backend import Provenance, load
from archspec.backend.session import Precision, Session
from archspec.ir.graph import Graph
from archspec.weights.checkpoint import save_checkpoint

ABOUT = Provenance(
    title="A net. On nets, 2015",
    spec="net.yaml",
    sha256="0" * 64,
    summary="1 parameter",
    version="0.1",
)


def build(graph: Graph, weights: Mapping[str, Any], folder: Path, backend: str = "keras") -> Path:
    """A folder with the emitted files and the weights."""
    for name, content in load(backend).emit(graph, ABOUT).items():
        (folder / name).write_bytes(content)
    save_checkpoint(folder / "weights.safetensors", weights)
    return folder


def session(
    graph: Graph,
    weights: Mapping[str, Any],
    backend: str = "keras",
    precision: Precision = "float64",
) -> Session:
    """A session on the emitted model."""
    with tempfile.TemporaryDirectory() as name:
        return load(backend).open(build(graph, weights, Path(name), backend), graph, precision)
