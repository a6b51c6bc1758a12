"""What a backend is: one value, found by its entry point in the group `archspec.backends`.

BACKEND = Backend(name="torch", framework="torch", extra="torch", lowered=..., gaps={}, emit=..., load=..., predict=...)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from archspec.diagnostics import Failure, did_you_mean, quote
from archspec.graph import Graph

GROUP = "archspec.backends"


@dataclass(frozen=True, slots=True)
class Gap:
    """An op that a backend cannot lower: a code of its own and the reason, in a sentence."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What emitted source says of itself in its head."""

    title: str
    spec: str
    sha256: str
    summary: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A framework that graphs can be emitted for.

    `emit` gives the files of a build by name, all but the weights; `load` turns a folder that holds them and
    `weights.safetensors` into the framework's model; `predict` runs it on a batch [N, *input] of float32 and
    returns the main output.
    """

    name: str
    framework: str
    extra: str
    lowered: Collection[str]
    gaps: Mapping[str, Gap]
    emit: Callable[[Graph, About], Mapping[str, bytes]]
    load: Callable[[Path], Any]
    predict: Callable[[Any, Any], Any]


class BackendError(Failure):
    """A backend that is unknown, broken, or whose framework is missing."""


def available() -> dict[str, EntryPoint]:
    """The installed backends by name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def load(name: str) -> Backend:
    """The backend of that name, with its framework known to be installed; raises `BackendError`."""
    found = available()
    if name not in found:
        raise BackendError(f"unknown backend {quote(name)}", did_you_mean(name, found, "backends"), 2)
    try:
        backend: Any = found[name].load()
    except Exception as error:
        raise BackendError(f"the backend {quote(name)} cannot be imported: {error}") from error
    if not isinstance(backend, Backend):
        raise BackendError(f"the entry point {quote(name)} is no Backend value")
    require(backend)
    return backend


def require(backend: Backend) -> None:
    """Raises `BackendError` with exit code 3 where the backend's framework is not installed."""
    from importlib.util import find_spec

    if find_spec(backend.framework) is None:
        message = f"the backend {quote(backend.name)} needs {backend.framework}, which is not installed"
        raise BackendError(message, f"pip install 'archspec-nn[{backend.extra}]'", 3)
