"""The processes that train one model together, as a backend joins them; a process alone is a group of one.

>>> import numpy as np
>>> group = SingleProcess()
>>> group.is_main, group.all_reduce(np.array([1.0, 2.0])).tolist()
(True, [1.0, 2.0])
>>> group.all_gather("here"), group.broadcast("this")
(['here'], 'this')
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from archspec._numpy import Array

T = TypeVar("T")


class ProcessGroup(Protocol):
    """This process among those that train together.

    All of them call the same functions in the same order. Where one of them is lost, what they call within `watching`
    raises `Failure` on the first process, and ends the others without a word.
    """

    @property
    def rank(self) -> int: ...
    @property
    def world_size(self) -> int: ...

    @property
    def is_main(self) -> bool:
        """Whether it is the first process, which alone writes and speaks."""
        ...

    def all_reduce(self, values: Array) -> Array:
        """The sum of what all of them give, arrays of one shape, in float64."""
        ...

    def all_gather(self, value: T) -> list[T]:
        """What each of them gives, by rank."""
        ...

    def broadcast(self, value: T) -> T:
        """What the first process gives."""
        ...

    def watching(self) -> AbstractContextManager[None]: ...


class SingleProcess:
    """Implements `ProcessGroup`."""

    rank, world_size, is_main = 0, 1, True

    def all_reduce(self, values: Array) -> Array:
        return values

    def all_gather(self, value: T) -> list[T]:
        return [value]

    def broadcast(self, value: T) -> T:
        return value

    def watching(self) -> AbstractContextManager[None]:
        return nullcontext()
