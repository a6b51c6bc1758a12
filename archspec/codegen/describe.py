"""Describe a class in one line, for blocks that have no description in the spec."""

from __future__ import annotations

from archspec.codegen.module_tree import EmittedClass, MergeCall, Sequential, TreeNode
from archspec.codegen.scopes import role, scopes_to_block

_PARTICIPLES = {"cat": "concatenated", "+": "added", "*": "multiplied"}
MAX_NAMES = 8  # in a line


def describe(cls: EmittedClass) -> str:
    """Return a line such as `Convolution: conv, batch_norm and relu in sequence.`

    A class that ends in its only merge reads as `Gate: its input and squeeze, multiplied.`
    """
    *inner, block = scopes_to_block(cls.scope)
    title = " of ".join([*(f"`{role(scope)}`" for scope in inner), block.block or "the network"])
    return f"{title[:1].upper()}{title[1:]}: {_contents(cls)}."


def _contents(cls: EmittedClass) -> str:
    children = cls.example.children
    merges = [child for child in children if isinstance(child, MergeCall)]
    if len(merges) == 1 and merges[0] is children[-1]:
        makers = {value: _child_name(child) for child in children for value in child.outputs}
        operands = [makers.get(value, "its input") for value in merges[0].operands]
        return f"{_listing(operands)}, {_PARTICIPLES[merges[0].merge.operator]}"
    names = [_child_name(child) for child in children if not isinstance(child, MergeCall)]
    if len(names) > 1 and not merges:
        return f"{_listing(names)} in sequence"
    return _listing(names)


def _child_name(node: TreeNode) -> str:
    if not (isinstance(node, Sequential) and node.numbered):
        return node.name
    iteration = node.children[0]
    if isinstance(iteration, Sequential):
        names = _listing([child.name for child in iteration.children])
    else:
        names = iteration.path_parts[-1]
    return f"{names}, repeated"


def _listing(names: list[str]) -> str:
    if len(names) > MAX_NAMES:
        return ", ".join([*names[:MAX_NAMES], "..."])
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
