"""The processes that train one model together, as a backend joins them; a process alone is a group of one.

>>> import numpy as np
>>> group = Alone()
>>> group.leads, group.sum(np.array([1.0, 2.0])).tolist(), group.gather("here"), group.shared("this")
(True, [1.0, 2.0], ['here'], 'this')
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from archspec._numpy import Array

T = TypeVar("T")


class Group(Protocol):
    """This process among those that train together.

    All of them call the same functions in the same order. Where one of them is lost, what they call within `watching`
    raises `Failure` on the first process, and ends the others without a word.
    """

    @property
    def rank(self) -> int: ...
    @property
    def ranks(self) -> int: ...

    @property
    def leads(self) -> bool:
        """Whether it is the first process, which alone writes and speaks."""
        ...

    def sum(self, values: Array) -> Array:
        """The sum of what all of them give, arrays of one shape, in float64."""
        ...

    def gather(self, value: T) -> list[T]:
        """What each of them gives, by rank."""
        ...

    def shared(self, value: T) -> T:
        """What the first process gives."""
        ...

    def watching(self) -> AbstractContextManager[None]: ...


class Alone:
    """Implements `Group`."""

    rank, ranks, leads = 0, 1, True

    def sum(self, values: Array) -> Array:
        return values

    def gather(self, value: T) -> list[T]:
        return [value]

    def shared(self, value: T) -> T:
        return value

    def watching(self) -> AbstractContextManager[None]:
        return nullcontext()
