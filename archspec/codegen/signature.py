"""When two scopes have the same structure: the same parts, wired the same way, whatever their values.

Iterations of a repeat are compared as runs that one loop can build: twelve layers and six are the same structure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from archspec.codegen.module_tree import Chain, Instance, Join, Leaf, Part, Run, Several
from archspec.codegen.schedule import needed
from archspec.ir.graph import Scope


def signature(instance: Instance, paths: bool = False) -> Hashable:
    """What the instances of one class have in common; the classes of the instances within have to be known.

    With `paths`, the names that are folded into a part's own are common too.
    """
    local = {value: place for place, value in enumerate(instance.inputs)}
    steps = list(instance.steps())
    places = {part: place for place, part in enumerate(steps)}
    wiring: list[Hashable] = []
    for part in needed(steps, instance.outputs):
        wiring.append((places[part], tuple(local[value] for value in part.operands)))
        local.update({value: len(local) + place for place, value in enumerate(part.outputs)})
    parts = tuple((part.name, structure(part, paths)) for part in instance.parts)
    *inner, block = scopes_to_block(instance.scope)
    place = block.block, block.kind == "network", tuple(map(role, inner))
    return place, parts, tuple(wiring), tuple(local[value] for value in instance.outputs)


def structure(part: Part, paths: bool = False) -> Hashable:
    """What a part has in common with those that the same code builds."""
    shape = _shape(part, paths)
    return (part.levels[1:], shape) if paths else shape


def _shape(part: Part, paths: bool) -> Hashable:
    match part:
        case Leaf(module=module):
            return tuple(
                (step.target, tuple(arg.name for arg in step.args)) for step in module.steps
            )
        case Join(merge=merge):
            return merge.operator, merge.module and merge.module.target
        case Chain(numbered=True):
            part.runs = runs(part.parts, paths)
            return tuple(
                (run.start, _first(run, paths), structure(run.parts[0], paths)) for run in part.runs
            )
        case Chain() | Several():
            return tuple((child.name, structure(child, paths)) for child in part.parts)
        case Instance(cls=cls):
            return cls
        case _:
            raise TypeError(part)


def _first(run: Run, paths: bool) -> str:
    """The number of the iteration that a run begins with, where layers bear it."""
    return run.parts[0].levels[0] if paths else ""


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


def runs(parts: list[Part], paths: bool = False) -> list[Run]:
    """The iterations of a repeat, cut where the structure changes or the values jump."""
    shapes, values = (
        [structure(part, paths) for part in parts],
        [list(settings(part)) for part in parts],
    )
    found: list[Run] = []
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
        found.append(Run(at, parts[at:end]))
        at = end
    return found


def _follows(before: Part, after: Part) -> bool:
    """Whether no iteration between them is empty."""
    return int(after.levels[0]) == int(before.levels[0]) + 1


def _step(a: Any, b: Any) -> int | None:
    """How much a value grows: 0 where it stays; None for a change that is no step."""
    if type(a) is type(b) and a == b:
        return 0
    return b - a if type(a) is int and type(b) is int else None


def settings(part: Part) -> Iterator[Any]:
    """Every value that a part is built with; of a loop its length, where it begins and how it goes on."""
    match part:
        case Leaf(module=module):
            yield from (arg.value for step in module.steps for arg in step.args)
        case Chain(numbered=True):
            for run in part.runs:
                yield len(run.parts)
                yield from settings(run.parts[0])
                yield from settings(run.parts[min(1, len(run.parts) - 1)])
        case Chain(parts=parts):
            for child in parts:
                yield from settings(child)
        case Instance(cls=cls, index=index) if cls is not None:
            yield from (param.values[index] for param in cls.params)
        case _:
            raise TypeError(part)
