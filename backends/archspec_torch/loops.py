"""Runs of iterations that one loop can build: modules of the same structure whose values are equal or grow evenly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archspec_torch.parts import Part


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Consecutive iterations; `start` is the number of the first."""

    start: int
    parts: list[Part]


def runs(parts: list[Part]) -> list[Run]:
    """The iterations of a repeat, cut where the structure changes or the values jump."""
    from archspec_torch.classes import structure

    found: list[Run] = []
    at = 0
    while at < len(parts):
        end = at + 1
        values = list(settings(parts[at]))
        steps: list[Any] = []
        while end < len(parts) and structure(parts[end]) == structure(parts[at]):
            here = list(settings(parts[end]))
            moves = [_step(a, b) for a, b in zip(values, here, strict=True)]
            if end == at + 1:
                steps = moves
            if None in moves or moves != steps:
                break
            values, end = here, end + 1
        if end == at + 2 and any(steps):
            end = at + 1  # two points are always on a line: no reason to see one
        found.append(Run(at, parts[at:end]))
        at = end
    return found


def _step(a: Any, b: Any) -> int | None:
    """How much it grows: 0 for values that stay; None for a change that is no step."""
    if type(a) is type(b) and a == b:
        return 0
    return b - a if type(a) is int and type(b) is int else None


def settings(part: Part) -> Iterator[Any]:
    """Every value that a part is built with."""
    from archspec_torch.parts import Chain, Instance, Leaf

    match part:
        case Leaf(module=module):
            yield from (arg.value for arg in module.args)
        case Chain(parts=parts):
            for child in parts:
                yield from settings(child)
        case Instance(cls=cls, index=index) if cls is not None:
            yield from (param.values[index] for param in cls.params)
        case _:
            raise TypeError(part)
