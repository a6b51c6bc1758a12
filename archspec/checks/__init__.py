"""Checks of a finished graph: a function for each code, registered with `@check`."""

from importlib import import_module
from pkgutil import iter_modules

from archspec.checks.registry import REGISTRY, check_graph

__all__ = ["REGISTRY", "check_graph"]

# Importing a module registers its checks: a new file needs no entry here.
for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
