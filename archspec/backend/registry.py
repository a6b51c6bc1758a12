"""The installed backends, found by their entry points in the group `archspec.backends`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from archspec.backend.api import Backend
from archspec.diagnostics import Failure, did_you_mean, quote

GROUP = "archspec.backends"


class BackendError(Failure):
    """A backend that is unknown, broken, or whose framework is missing."""


@cache
def available() -> dict[str, EntryPoint]:
    """The installed backends by name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def find(name: str) -> Backend:
    """The backend of that name, whether or not its framework is installed; raises `BackendError`."""
    found = available()
    if name not in found:
        raise BackendError(
            f"unknown backend {quote(name)}", did_you_mean(name, found, "backends"), 2
        )
    try:
        backend: Any = found[name].load()
    except Exception as error:
        raise BackendError(f"the backend {quote(name)} cannot be imported: {error}") from error
    if not isinstance(backend, Backend):
        raise BackendError(f"the entry point {quote(name)} is no Backend value")
    return backend


def load(name: str) -> Backend:
    """The backend of that name, with its framework known to be installed; raises `BackendError`."""
    backend = find(name)
    require(backend)
    return backend


def require(backend: Backend, engine: str = "") -> None:
    """Raises `BackendError` with exit code 3 where the framework, or that engine's package, is not installed."""
    for package in (backend.framework, *([backend.engines[engine].package] if engine else [])):
        _require_package(backend, package)


def require_imports(backend: Backend, error: Exception) -> None:
    """Raises `BackendError` with exit code 3 where an error of a backend's own code is that a package is missing."""
    if isinstance(error, ImportError) and error.name:
        _require_package(backend, error.name.partition(".")[0])


def _require_package(backend: Backend, package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        message = f"the backend {quote(backend.name)} needs {package}, which is not installed"
        more = "" if package == backend.framework else f" {package}"
        raise BackendError(message, f"pip install {_source(backend)}{more}", 3)


def _source(backend: Backend) -> str:
    """The distribution that brings a backend, with its extra where it has one."""
    brought = [
        entry.dist.name
        for entry in entry_points(group=GROUP)
        if entry.name == backend.name and entry.dist
    ]
    name = next(iter(brought), "archspec-nn")
    return f"'{name}[{backend.extra}]'" if backend.extra else name
