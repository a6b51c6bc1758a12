"""archspec: a compiler from a declarative description of a neural network to running models.

>>> import archspec
>>> spec = archspec.load("googlenet", classes=2)
>>> archspec.stats(spec).params
5975602
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archspec._version import __version__

if TYPE_CHECKING:
    from archspec import weights as weights
    from archspec.analysis.stats import stats
    from archspec.backend import Backend, BackendError
    from archspec.compiler import build, check, load
    from archspec.diagnostics import Diagnostic, SpecError
    from archspec.equivalence import verify
    from archspec.frontend.loader import Spec

__all__ = [
    "Backend",
    "BackendError",
    "Diagnostic",
    "Spec",
    "SpecError",
    "__version__",
    "build",
    "check",
    "load",
    "stats",
    "verify",
    "weights",
]

_HOMES = {
    "Backend": "archspec.backend",
    "BackendError": "archspec.backend",
    "Diagnostic": "archspec.diagnostics",
    "Spec": "archspec.frontend.loader",
    "SpecError": "archspec.diagnostics",
    "build": "archspec.compiler",
    "check": "archspec.compiler",
    "load": "archspec.compiler",
    "stats": "archspec.analysis.stats",
    "verify": "archspec.equivalence",
    "weights": "archspec.weights",
}


def __getattr__(name: str) -> Any:
    # Each name is imported on first use, so that counting never pays for building.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'archspec' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    value = home if home.__name__ == f"archspec.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
