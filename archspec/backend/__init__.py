"""The contract that a backend implements: the `Backend` value, its sessions and trainers.

>>> from archspec.backend import find
>>> find("torch").framework
'torch'
"""

from archspec.backend.api import Backend, BuildOption, Emit, Engine, Format, Gap, Provenance
from archspec.backend.attribution import BackendError, BackendFault, attributed, lowering
from archspec.backend.file_tensor import FileTensor, FileTensors
from archspec.backend.lazy import lazy
from archspec.backend.memory_budget import MemoryBudget, TooLarge
from archspec.backend.model_file import FileRun
from archspec.backend.registry import (
    MissingFramework,
    UnknownBackend,
    available,
    broken_backends,
    find,
    load,
    require,
    require_imports,
    with_broken_backends,
)
from archspec.backend.tensor_layout import TensorLayout

__all__ = [
    "Backend",
    "BackendError",
    "BackendFault",
    "BuildOption",
    "Emit",
    "Engine",
    "FileRun",
    "FileTensor",
    "FileTensors",
    "Format",
    "Gap",
    "MemoryBudget",
    "MissingFramework",
    "Provenance",
    "TensorLayout",
    "TooLarge",
    "UnknownBackend",
    "attributed",
    "available",
    "broken_backends",
    "find",
    "lazy",
    "load",
    "lowering",
    "require",
    "require_imports",
    "with_broken_backends",
]
