"""One line on what a class does, for blocks whose spec says nothing of them."""

from __future__ import annotations

from archspec_torch.classes import Class
from archspec_torch.parts import Join

_JOINED = {"cat": "concatenated", "+": "added", "*": "multiplied"}


def describe(cls: Class) -> str:
    """`conv, batch_norm and relu`, or `1x1, 3x3 and pool, concatenated`."""
    parts = cls.example.parts
    steps = [part for part in parts if not isinstance(part, Join)]
    joins = [part for part in parts if isinstance(part, Join)]
    names = [part.name for part in steps][:8]
    if len(joins) == 1 and joins[0] is parts[-1] and names:
        return f"{_listed(names)}, {_JOINED[joins[0].merge.operator]}."
    return f"{_listed(names)}, one after the other." if len(names) > 1 and not joins else f"{_listed(names)}."


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:]))) or "A merge"


