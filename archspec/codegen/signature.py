"""Structural equality of scopes: the same children, wired the same way, whatever their values.

Iterations of a repeat are compared as segments that one loop can build, so that twelve layers and
six layers have the same structure.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import pairwise
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
from archspec.codegen.scopes import role, scopes_to_block


def signature(instance: Instance, portable_paths: bool = False) -> Hashable:
    """Return what all instances of one class share; inner instances must have their class already.

    With `portable_paths`, the scope names that are folded into a child's own are part of it.
    """
    # Values are numbered as they are met, so that equal wiring gives equal numbers.
    numbers = {value: number for number, value in enumerate(instance.inputs)}
    calls = list(instance.calls())
    positions = {call: position for position, call in enumerate(calls)}
    wiring: list[Hashable] = []
    for call in needed_calls(calls, instance.outputs):
        wiring.append((positions[call], tuple(numbers[value] for value in call.operands)))
        numbers.update({value: len(numbers) + i for i, value in enumerate(call.outputs)})
    children = tuple((child.name, structure(child, portable_paths)) for child in instance.children)
    *inner, block = scopes_to_block(instance.scope)
    location = block.block, block.kind == "network", tuple(map(role, inner))
    outputs = tuple(numbers[value] for value in instance.outputs)
    return location, children, tuple(wiring), outputs


def structure(node: TreeNode, portable_paths: bool = False) -> Hashable:
    """Return what a node shares with those that the same code builds."""
    shape = _structure(node, portable_paths)
    return (node.path_parts[1:], shape) if portable_paths else shape


def _structure(node: TreeNode, portable_paths: bool) -> Hashable:
    match node:
        case LayerCall(module=module):
            return tuple(
                (layer.target, tuple(arg.name for arg in layer.args)) for layer in module.layers
            )
        case MergeCall(merge=merge):
            return merge.operator, merge.module and merge.module.target
        case Sequential(numbered=True):
            node.segments = loop_segments(node.children, portable_paths)
            return tuple(_segment_structure(segment, portable_paths) for segment in node.segments)
        case Sequential() | ModuleList():
            return tuple((child.name, structure(child, portable_paths)) for child in node.children)
        case Instance(cls=cls):
            return cls
        case _:
            raise TypeError(node)


def _segment_structure(segment: LoopSegment, portable_paths: bool) -> Hashable:
    first = segment.iterations[0]
    # Layers that bear their paths bear the number of their iteration in the spec too.
    number = first.path_parts[0] if portable_paths else ""
    return segment.start, number, structure(first, portable_paths)


def loop_segments(iterations: list[TreeNode], portable_paths: bool = False) -> list[LoopSegment]:
    """Cut a repeat's iterations where the structure changes or the values jump."""
    structures = [structure(iteration, portable_paths) for iteration in iterations]
    values = [list(constructor_values(iteration)) for iteration in iterations]
    segments: list[LoopSegment] = []

    def alike(start: int) -> Iterator[list[Any]]:
        yield values[start]
        for number in range(start + 1, len(iterations)):
            if structures[number] != structures[start]:
                return
            if portable_paths and not _is_next(iterations[number - 1], iterations[number]):
                return
            yield values[number]

    start = 0
    while start < len(iterations):
        end = start + _even_length(alike(start))
        segments.append(LoopSegment(start, iterations[start:end]))
        start = end
    return segments


def _even_length(rows: Iterator[list[Any]]) -> int:
    """Return how many of the first rows stay the same or grow by the same step."""
    length = 1
    steps: list[int | None] = []
    for before, after in pairwise(rows):
        differences = _differences(before, after)
        if None in differences or (steps and differences != steps):
            break
        steps = differences
        length += 1
    if length == 2 and any(steps):
        # Two points always lie on a line, which is no reason to emit a loop.
        return 1
    return length


def _differences(before: list[Any], after: list[Any]) -> list[int | None]:
    return [_difference(a, b) for a, b in zip(before, after, strict=True)]


def _is_next(before: TreeNode, after: TreeNode) -> bool:
    """Return whether no empty iteration lies between two."""
    return int(after.path_parts[0]) == int(before.path_parts[0]) + 1


def _difference(a: Any, b: Any) -> int | None:
    """Return the growth from one value to the next: 0 if equal, None if it is not an integer."""
    if type(a) is type(b) and a == b:
        return 0
    return b - a if type(a) is int and type(b) is int else None


def constructor_values(node: TreeNode) -> Iterator[Any]:
    """Iterate over the values that a node is built with.

    A loop adds its length, and the values of its first two iterations.
    """
    match node:
        case LayerCall(module=module):
            yield from (arg.value for layer in module.layers for arg in layer.args)
        case Sequential(numbered=True):
            for segment in node.segments:
                count = len(segment.iterations)
                yield count
                yield from constructor_values(segment.iterations[0])
                yield from constructor_values(segment.iterations[min(1, count - 1)])
        case Sequential(children=children):
            for child in children:
                yield from constructor_values(child)
        case Instance(cls=cls, index=index) if cls is not None:
            yield from (param.values[index] for param in cls.params)
        case _:
            raise TypeError(node)
