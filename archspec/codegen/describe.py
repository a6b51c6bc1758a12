"""One line on what a class does, for blocks whose spec says nothing of them."""

from __future__ import annotations

from archspec.codegen.classes import Class
from archspec.codegen.module_tree import Chain, Join, Part
from archspec.codegen.signature import role, scopes_to_block

_JOINED = {"cat": "concatenated", "+": "added", "*": "multiplied"}
_MOST = 8  # names in a line


def describe(cls: Class) -> str:
    """As in `Convolution: conv, batch_norm and relu in sequence`, or `Gate: its input and squeeze, multiplied`."""
    *inner, block = scopes_to_block(cls.scope)
    title = " of ".join([*(f"`{role(scope)}`" for scope in inner), block.block or "the network"])
    return f"{title[:1].upper()}{title[1:]}: {_contents(cls)}."


def _contents(cls: Class) -> str:
    parts = cls.example.parts
    joins = [part for part in parts if isinstance(part, Join)]
    steps = [_called(part) for part in parts if not isinstance(part, Join)]
    if len(joins) == 1 and joins[0] is parts[-1]:
        makers = {value: _called(part) for part in parts for value in part.outputs}
        operands = [makers.get(value, "its input") for value in joins[0].operands]
        return f"{_listed(operands)}, {_JOINED[joins[0].merge.operator]}"
    return f"{_listed(steps)} in sequence" if len(steps) > 1 and not joins else _listed(steps)


def _called(part: Part) -> str:
    if not (isinstance(part, Chain) and part.numbered):
        return part.name
    once = part.parts[0]
    return f"{_listed([p.name for p in once.parts]) if isinstance(once, Chain) else once.levels[-1]}, repeated"


def _listed(names: list[str]) -> str:
    if len(names) > _MOST:
        return ", ".join([*names[:_MOST], "..."])
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
