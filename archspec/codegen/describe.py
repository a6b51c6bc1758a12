"""One line on what a class does, for blocks whose spec says nothing of them."""

from __future__ import annotations

from archspec.codegen.classes import EmittedClass
from archspec.codegen.module_tree import MergeCall, Sequential, TreeNode
from archspec.codegen.signature import role, scopes_to_block

_JOINED = {"cat": "concatenated", "+": "added", "*": "multiplied"}
_MOST = 8  # names in a line


def describe(cls: EmittedClass) -> str:
    """As in `Convolution: conv, batch_norm and relu in sequence`, or `Gate: its input and squeeze, multiplied`."""
    *inner, block = scopes_to_block(cls.scope)
    title = " of ".join([*(f"`{role(scope)}`" for scope in inner), block.block or "the network"])
    return f"{title[:1].upper()}{title[1:]}: {_contents(cls)}."


def _contents(cls: EmittedClass) -> str:
    parts = cls.example.children
    joins = [part for part in parts if isinstance(part, MergeCall)]
    steps = [_called(part) for part in parts if not isinstance(part, MergeCall)]
    if len(joins) == 1 and joins[0] is parts[-1]:
        makers = {value: _called(part) for part in parts for value in part.outputs}
        operands = [makers.get(value, "its input") for value in joins[0].operands]
        return f"{_listed(operands)}, {_JOINED[joins[0].merge.operator]}"
    return f"{_listed(steps)} in sequence" if len(steps) > 1 and not joins else _listed(steps)


def _called(part: TreeNode) -> str:
    if not (isinstance(part, Sequential) and part.numbered):
        return part.name
    once = part.children[0]
    return f"{_listed([p.name for p in once.children]) if isinstance(once, Sequential) else once.path_parts[-1]}, repeated"


def _listed(names: list[str]) -> str:
    if len(names) > _MOST:
        return ", ".join([*names[:_MOST], "..."])
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
