"""The contract that a backend implements: the `Backend` value, its sessions and trainers, and how one is found.

>>> from archspec.backend import find
>>> find("torch").framework
'torch'
"""

from archspec.backend.api import Backend, Emit, Engine, Format, Gap, Option, Provenance
from archspec.backend.memory_budget import MemoryBudget, TooLarge
from archspec.backend.registry import (
    BackendError,
    MissingFramework,
    UnknownBackend,
    available,
    find,
    load,
    require,
    require_imports,
)
from archspec.backend.tensor_layout import TensorLayout

__all__ = [
    "Backend",
    "BackendError",
    "Emit",
    "Engine",
    "Format",
    "Gap",
    "MemoryBudget",
    "MissingFramework",
    "Option",
    "Provenance",
    "TensorLayout",
    "TooLarge",
    "UnknownBackend",
    "available",
    "find",
    "load",
    "require",
    "require_imports",
]
