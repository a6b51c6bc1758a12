"""One line on what a class does, for blocks whose spec says nothing of them."""

from __future__ import annotations

from archspec_torch.classes import Class
from archspec_torch.parts import Chain, Join, Part

_JOINED = {"cat": "concatenated", "+": "added", "*": "multiplied"}
_MOST = 8  # names in a line


def describe(cls: Class) -> str:
    """`conv, batch_norm and relu in sequence.`, or `its input and body, added.`"""
    parts = cls.example.parts
    joins = [part for part in parts if isinstance(part, Join)]
    steps = [_called(part) for part in parts if not isinstance(part, Join)]
    if len(joins) == 1 and joins[0] is parts[-1]:
        makers = {value: _called(part) for part in parts for value in part.outputs}
        operands = [makers.get(value, "its input") for value in joins[0].operands]
        return f"{_listed(operands)}, {_JOINED[joins[0].merge.operator]}."
    return f"{_listed(steps)} in sequence." if len(steps) > 1 and not joins else f"{_listed(steps)}."


def _called(part: Part) -> str:
    return f"{part.parts[0].called}, repeated" if isinstance(part, Chain) and part.numbered else part.name


def _listed(names: list[str]) -> str:
    if len(names) > _MOST:
        return ", ".join([*names[:_MOST], "..."])
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
