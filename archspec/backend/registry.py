"""The installed backends, found by their entry points in the group `archspec.backends`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from archspec.backend.api import Backend
from archspec.diagnostics import Failure, MissingPackage, UsageError, did_you_mean, quote

GROUP = "archspec.backends"


class BackendError(Failure):
    """A backend that is unknown, broken, or whose framework is missing."""


class UnknownBackend(BackendError, UsageError):
    """There is no backend of that name, or no such engine of it."""


class MissingFramework(BackendError, MissingPackage):
    """A backend's framework, or a package beside it, is not installed."""


@cache
def available() -> dict[str, EntryPoint]:
    """The installed backends by name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def find(name: str) -> Backend:
    """Return the backend of that name, whether or not its framework is installed.

    Raise `UnknownBackend` if there is none, `BackendError` if it cannot be imported.
    """
    found = available()
    if name not in found:
        raise UnknownBackend(
            f"unknown backend {quote(name)}", did_you_mean(name, found, "backends")
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
    """Raise `MissingFramework` unless the framework and that engine's package are installed."""
    for package in (backend.framework, *([backend.engines[engine].package] if engine else [])):
        _require_package(backend, package)


def require_imports(backend: Backend, error: Exception) -> None:
    """Raise `MissingFramework` if a backend's own code failed for want of a package."""
    if isinstance(error, ImportError) and error.name:
        _require_package(backend, error.name.partition(".")[0])


def _require_package(backend: Backend, package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        message = f"the backend {quote(backend.name)} needs {package}, which is not installed"
        more = "" if package == backend.framework else f" {package}"
        raise MissingFramework(message, f"pip install {_source(backend)}{more}")


def _source(backend: Backend) -> str:
    """The distribution that brings a backend, with its extra where it has one."""
    brought = [
        entry.dist.name
        for entry in entry_points(group=GROUP)
        if entry.name == backend.name and entry.dist
    ]
    name = next(iter(brought), "archspec-nn")
    return f"'{name}[{backend.extra}]'" if backend.extra else name
