"""The installed backends, found by their entry points in the group `archspec.backends`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from archspec.backend.api import Backend
from archspec.backend.attribution import BackendError, describe_exception
from archspec.diagnostics import MissingPackage, UsageError, quote
from archspec.ir.synonyms import suggest

ENTRY_POINT_GROUP = "archspec.backends"


class UnknownBackend(BackendError, UsageError):
    """There is no backend of that name, or no such engine of it."""


class MissingFramework(BackendError, MissingPackage):
    """A backend's framework, or a package beside it, is not installed."""


@cache
def available() -> dict[str, EntryPoint]:
    """Return the entry points of the installed backends by name; import none of them."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def find(name: str) -> Backend:
    """Return the backend of that name, whether or not its framework is installed.

    Raise `UnknownBackend` if there is none, `BackendError` if its entry point gives no `Backend`.
    """
    installed = available()
    if name not in installed:
        help = with_broken_backends(suggest(name, installed, "backends"))
        raise UnknownBackend(f"unknown backend {quote(name)}", help)
    try:
        backend: Any = installed[name].load()
    except (Exception, SystemExit) as error:  # importing it runs its authors' code
        raise BackendError(
            f"the backend {quote(name)} cannot be imported: {error or describe_exception(error)}",
            "reinstall it, or report it to its authors; ARCHSPEC_TRACEBACK=1 shows where it failed",
        ) from error
    if not isinstance(backend, Backend):
        raise BackendError(
            f"the entry point {quote(name)} is a {type(backend).__name__}, not a Backend value",
            "report it to its authors",
        )
    return backend


def load(name: str) -> Backend:
    """Return the backend of that name; raise `BackendError` also if its framework is missing."""
    backend = find(name)
    require(backend)
    return backend


def broken_backends() -> dict[str, str]:
    """Return the fault of each installed backend that cannot be imported, by name."""
    faults: dict[str, str] = {}
    for name in sorted(available()):
        try:
            find(name)
        except BackendError as error:
            faults[name] = error.message
    return faults


def with_broken_backends(help: str) -> str:
    """Add the broken backends to a help text: what is unknown may be theirs."""
    return "; ".join(filter(None, (help, *broken_backends().values())))


def require(backend: Backend, engine: str = "") -> None:
    """Raise `MissingFramework` unless the framework and the engine are installed."""
    _require_package(backend, backend.framework)
    if engine:
        _require_package(backend, backend.engines[engine].package)


def require_imports(backend: Backend, error: Exception) -> None:
    """Raise `MissingFramework` if a backend's own code failed for want of a package.

    Any other error is left to the caller.
    """
    if isinstance(error, ImportError) and error.name:
        _require_package(backend, error.name.partition(".")[0])


def _require_package(backend: Backend, package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is not None:
        return
    message = f"the backend {quote(backend.name)} needs {package}, which is not installed"
    requirements = _requirement(backend)
    if package != backend.framework:
        requirements += f" {package}"
    raise MissingFramework(message, f"pip install {requirements}")


def _requirement(backend: Backend) -> str:
    """Return a backend's distribution and extra, as pip takes them."""
    distributions = [
        entry.dist.name
        for entry in entry_points(group=ENTRY_POINT_GROUP)
        if entry.name == backend.name and entry.dist
    ]
    name = next(iter(distributions), "archspec-nn")
    return f"'{name}[{backend.extra}]'" if backend.extra else name
