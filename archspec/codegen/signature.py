"""When two scopes have the same structure: the same parts, wired the same way, whatever their values.

Iterations of a repeat are compared as runs that one loop can build: twelve layers and six are the same structure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from archspec.codegen.module_tree import (
    Instance,
    LayerCall,
    LoopSegment,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
)
from archspec.codegen.schedule import needed_calls
from archspec.ir.graph import Scope


def signature(instance: Instance, paths: bool = False) -> Hashable:
    """What the instances of one class have in common; the classes of the instances within have to be known.

    With `paths`, the names that are folded into a part's own are common too.
    """
    local = {value: place for place, value in enumerate(instance.inputs)}
    steps = list(instance.calls())
    places = {part: place for place, part in enumerate(steps)}
    wiring: list[Hashable] = []
    for part in needed_calls(steps, instance.outputs):
        wiring.append((places[part], tuple(local[value] for value in part.operands)))
        local.update({value: len(local) + place for place, value in enumerate(part.outputs)})
    parts = tuple((part.name, structure(part, paths)) for part in instance.children)
    *inner, block = scopes_to_block(instance.scope)
    place = block.block, block.kind == "network", tuple(map(role, inner))
    return place, parts, tuple(wiring), tuple(local[value] for value in instance.outputs)


def structure(part: TreeNode, paths: bool = False) -> Hashable:
    """What a part has in common with those that the same code builds."""
    shape = _shape(part, paths)
    return (part.path_parts[1:], shape) if paths else shape


def _shape(part: TreeNode, paths: bool) -> Hashable:
    match part:
        case LayerCall(module=module):
            return tuple(
                (step.target, tuple(arg.name for arg in step.args)) for step in module.layers
            )
        case MergeCall(merge=merge):
            return merge.operator, merge.module and merge.module.target
        case Sequential(numbered=True):
            part.segments = loop_segments(part.children, paths)
            return tuple(
                (run.start, _first(run, paths), structure(run.iterations[0], paths))
                for run in part.segments
            )
        case Sequential() | ModuleList():
            return tuple((child.name, structure(child, paths)) for child in part.children)
        case Instance(cls=cls):
            return cls
        case _:
            raise TypeError(part)


def _first(run: LoopSegment, paths: bool) -> str:
    """The number of the iteration that a run begins with, where layers bear it."""
    return run.iterations[0].path_parts[0] if paths else ""


def scopes_to_block(scope: Scope) -> list[Scope]:
    """The scope and those around it, up to the block in whose words it is written."""
    found: list[Scope] = []
    for each in scope.chain():
        found.append(each)
        if each.kind in ("network", "block", "head"):
            break
    return found


def role(scope: Scope) -> str:
    """What a scope is called in every instance: a branch by its name, an iteration by its repeat's."""
    parent = scope.parent
    return (
        parent.name
        if scope.kind == "repeat" and parent is not None and parent.kind == "repeat"
        else scope.name
    )


def loop_segments(parts: list[TreeNode], paths: bool = False) -> list[LoopSegment]:
    """The iterations of a repeat, cut where the structure changes or the values jump."""
    shapes, values = (
        [structure(part, paths) for part in parts],
        [list(constructor_values(part)) for part in parts],
    )
    found: list[LoopSegment] = []
    at = 0
    while at < len(parts):
        end = at + 1
        steps = None
        while (
            end < len(parts)
            and shapes[end] == shapes[at]
            and (not paths or _follows(parts[end - 1], parts[end]))
        ):
            moves = [_step(a, b) for a, b in zip(values[end - 1], values[end], strict=True)]
            if None in moves or moves != (moves if steps is None else steps):
                break
            steps, end = moves, end + 1
        if end == at + 2 and any(steps or ()):
            end = at + 1  # two points are always on a line: no reason to see one
        found.append(LoopSegment(at, parts[at:end]))
        at = end
    return found


def _follows(before: TreeNode, after: TreeNode) -> bool:
    """Whether no iteration between them is empty."""
    return int(after.path_parts[0]) == int(before.path_parts[0]) + 1


def _step(a: Any, b: Any) -> int | None:
    """How much a value grows: 0 where it stays; None for a change that is no step."""
    if type(a) is type(b) and a == b:
        return 0
    return b - a if type(a) is int and type(b) is int else None


def constructor_values(part: TreeNode) -> Iterator[Any]:
    """Every value that a part is built with; of a loop its length, where it begins and how it goes on."""
    match part:
        case LayerCall(module=module):
            yield from (arg.value for step in module.layers for arg in step.args)
        case Sequential(numbered=True):
            for run in part.segments:
                yield len(run.iterations)
                yield from constructor_values(run.iterations[0])
                yield from constructor_values(run.iterations[min(1, len(run.iterations) - 1)])
        case Sequential(children=parts):
            for child in parts:
                yield from constructor_values(child)
        case Instance(cls=cls, index=index) if cls is not None:
            yield from (param.values[index] for param in cls.params)
        case _:
            raise TypeError(part)
