"""The PyTorch backend: a graph as source that reads as if written by hand. Emitting needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.backend import About, Backend
from archspec.graph import Graph
from archspec_torch.lowerings import LOWERED


def _emit(graph: Graph, about: About) -> Mapping[str, bytes]:
    from archspec_torch.source import emit

    return emit(graph, about)


def _load(directory: Path) -> Any:
    from archspec_torch.runtime import load

    return load(directory)


def _predict(model: Any, batch: Any) -> Any:
    from archspec_torch.runtime import predict

    return predict(model, batch)


BACKEND = Backend(
    name="torch",
    framework="torch",
    extra="torch",
    lowered=frozenset(LOWERED),
    gaps={},
    emit=_emit,
    load=_load,
    predict=_predict,
)


def attributes(graph: Graph) -> dict[str, str]:
    """The emitted model's `state_dict` key for every tensor of the graph, by its neutral name."""
    from archspec_torch.source import attributes

    return attributes(graph)


__all__ = ["BACKEND", "attributes"]
