"""The processes that train one model together; a process alone is a group of one.

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

    Every process calls the same methods in the same order: each call is a collective operation.
    """

    @property
    def rank(self) -> int:
        """This process's number, from 0."""
        ...

    @property
    def world_size(self) -> int:
        """The number of processes."""
        ...

    @property
    def is_main(self) -> bool:
        """True on rank 0, the only process that writes files and prints."""
        ...

    def all_reduce(self, values: Array) -> Array:
        """Return the sum of `values`, of one shape everywhere, over all processes, in float64."""
        ...

    def all_gather(self, value: T) -> list[T]:
        """Return every process's `value`, by rank."""
        ...

    def broadcast(self, value: T) -> T:
        """Return rank 0's `value`."""
        ...

    def handle_lost_peers(self) -> AbstractContextManager[None]:
        """Return a block for the framework's own collectives: a lost process ends training there.

        If one is lost, rank 0 raises `Failure` and the others exit without a message.
        """
        ...


class SingleProcess:
    """A group of one; implements `ProcessGroup`."""

    rank = 0
    world_size = 1
    is_main = True

    def all_reduce(self, values: Array) -> Array:
        return values

    def all_gather(self, value: T) -> list[T]:
        return [value]

    def broadcast(self, value: T) -> T:
        return value

    def handle_lost_peers(self) -> AbstractContextManager[None]:
        return nullcontext()
