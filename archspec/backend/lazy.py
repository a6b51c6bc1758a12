"""Hooks that import their module when they are called, so that listing a backend costs nothing.

>>> basename = lazy("posixpath:basename")
>>> basename("runs/first")
'first'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class LazyFunction:
    """A function by its module and name; the module is imported on the first call."""

    module: str
    name: str

    def resolve(self) -> Callable[..., Any]:
        """Return the function itself; raise ImportError or AttributeError if it does not exist."""
        return getattr(import_module(self.module), self.name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.resolve()(*args, **kwargs)


def lazy(target: str) -> LazyFunction:
    """Return a function that forwards to `target`, written as `package.module:function`.

    A class works too: calling it makes an instance. Raises ValueError for any other spelling.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name.isidentifier()):
        raise ValueError(f"expected `package.module:function`, found {target!r}")
    return LazyFunction(module, name)
