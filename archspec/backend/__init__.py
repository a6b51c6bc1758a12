"""The contract that a backend implements: the `Backend` value, its sessions and trainers, and how one is found.

>>> from archspec.backend import find
>>> find("torch").framework
'torch'
"""

from archspec.backend.api import About, Backend, Emit, Engine, Format, Gap, Option
from archspec.backend.memory_budget import Room, TooLarge
from archspec.backend.registry import BackendError, available, find, load, require, require_imports
from archspec.backend.tensor_layout import Native

__all__ = [
    "About",
    "Backend",
    "BackendError",
    "Emit",
    "Engine",
    "Format",
    "Gap",
    "Native",
    "Option",
    "Room",
    "TooLarge",
    "available",
    "find",
    "load",
    "require",
    "require_imports",
]
