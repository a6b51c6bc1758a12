"""The inputs nearest to a spec's own at which no sizes clash, found by building at a few others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from archspec.frontend.graph_builder import GraphBuilder
from archspec.ir.types import Shape

SIZE_CODES = frozenset({"AS0301", "AS0302", "AS0304", "AS0310"})
"""Errors that another input size may mend."""
UNKNOWN = frozenset({"AS0701"})
"""Errors after which nothing is known: the budget of the trial is spent."""
MAX_WORK = 300_000
"""The work of all trials together, so that a large spec is not built too often."""
STEPS = (2, 4, 8, 16, 32, 64, 128)
GROWTH = (1, *STEPS, 256, 512)


@dataclass
class NearestInputs:
    """Finds legal inputs: multiples of a power of two on either side, and the next larger one.

    `build` returns the network at another input.
    """

    shape: Shape | None
    build: Callable[[Shape], GraphBuilder]
    work: int = 0
    nearest: list[Shape] | None = None
    tried: dict[Shape, bool] = field(default_factory=dict[Shape, bool])

    def __call__(self) -> list[Shape]:
        """Return up to two inputs, larger and smaller; none if no trial is legal."""
        if self.nearest is None:
            self.nearest = [] if self.shape is None else self._search(self.shape)
        return self.nearest

    def _search(self, shape: Shape) -> list[Shape]:
        larger = [*self._multiples(shape, upwards=True), *self._next_larger(shape)]
        smaller = self._multiples(shape, upwards=False)
        return [*sorted(larger, key=sum)[:1], *smaller]

    def _multiples(self, shape: Shape, *, upwards: bool) -> Iterator[Shape]:
        """Yield the nearest legal input whose sizes are multiples of one of `STEPS`."""
        near = (_multiple(shape, step, upwards) for step in STEPS)
        legal = (other for other in near if other != shape and self._is_legal(other))
        yield from islice(legal, 1)

    def _next_larger(self, shape: Shape) -> Iterator[Shape]:
        """Yield the first legal input that is larger by the same number along every axis."""
        low = 0
        for high in GROWTH:
            if not self._is_legal(_grown(shape, high)):
                low = high
                continue
            while high - low > 1:
                middle = (low + high) // 2
                if self._is_legal(_grown(shape, middle)):
                    high = middle
                else:
                    low = middle
            yield _grown(shape, high)
            return

    def _is_legal(self, shape: Shape) -> bool:
        if shape not in self.tried:
            if self.work > MAX_WORK or min(shape) < 1:
                return False
            built = self.build(shape)
            self.work += built.work
            codes = {code for code, _ in built.report.by_location}
            self.tried[shape] = not codes & (SIZE_CODES | UNKNOWN)
        return self.tried[shape]


def _multiple(shape: Shape, step: int, upwards: bool) -> Shape:
    """Return the shape with each size rounded to a multiple."""
    rounded = (-(-n // step) if upwards else n // step for n in shape[1:])
    return (shape[0], *(n * step for n in rounded))


def _grown(shape: Shape, count: int) -> Shape:
    return (shape[0], *(n + count for n in shape[1:]))
