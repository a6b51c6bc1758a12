"""Explanations of merges that do not fit: which branches differ, and what changed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from archspec.diagnostics import Note, Span, quote
from archspec.frontend.frame import Frame, Value
from archspec.frontend.graph_builder import GraphBuilder
from archspec.frontend.step import Step
from archspec.ir.graph import Node
from archspec.ir.op import ShapeError
from archspec.ir.types import Shape, format_shape

MAX_CANDIDATES = 20
"""Distinct shapes that are tried as the usual one: comparing them all takes quadratic time."""

Agree = Callable[[Shape, Shape], bool]


def report_merge_error(
    graph: GraphBuilder,
    frame: Frame,
    step: Step,
    error: ShapeError,
    values: list[int],
    entry: Value,
) -> None:
    """Report a merge's `ShapeError` at each branch, or step under `from`, that differs."""
    operands = _operands(frame, step)
    noun = "value" if step.branches is None else "branch"
    agree = _same_size if error.code == "AS0301" else _broadcast
    shapes = [graph.nodes[value].shape for value in values]
    usual = _usual(shapes, agree)
    names = [name for name, _ in operands]
    agreement = _agreement(noun, names, shapes, usual, agree)
    for (name, span), value, shape in zip(operands, values, shapes, strict=True):
        if agree(usual, shape):
            continue
        notes = [Note(agreement)]
        changed = _last_change(graph, value, entry)
        if changed is not None:
            field, at, result = changed
            notes.append(Note(f"{name} became {result} by its {field}", at))
        size = format_shape(usual[1:]) or "a vector"
        help = error.help or f"give {quote(name)} the stride and padding that keep {size}"
        label = f"this {noun} is {format_shape(shape)}"
        frame.fail(error.code, span, error.message, help, tuple(notes), label)


def _operands(frame: Frame, step: Step) -> list[tuple[str, Span]]:
    """Return the name and span of each value that is joined."""
    if step.branches is not None:
        return [(label, span) for label, (span, _) in step.branches.items()]
    argument = step.reserved["from"]
    return [(str(frame.evaluate(item)), item.span) for item in argument.children or [argument]]


def _usual(shapes: Sequence[Shape], agree: Agree) -> Shape:
    """Return the shape that most of them agree with."""
    counts = Counter(shapes)

    def support(shape: Shape) -> int:
        return sum(count for other, count in counts.items() if agree(shape, other))

    return max([*counts][:MAX_CANDIDATES], key=support)


def _agreement(
    noun: str, names: Iterable[str], shapes: Iterable[Shape], usual: Shape, agree: Agree
) -> str:
    """Return the note on the operands that do fit."""
    fitting = [
        (name, format_shape(shape))
        for name, shape in zip(names, shapes, strict=True)
        if agree(usual, shape)
    ]
    if len(fitting) == 1:
        name, size = fitting[0]
        return f"{noun} {quote(name)} is {size}"
    *most, last = (f"{name} ({size})" for name, size in fitting)
    plural = "branches" if noun == "branch" else f"{noun}s"
    return f"{plural} {', '.join(most)} and {last} agree"


def _same_size(one: Shape, other: Shape) -> bool:
    """Return True if two shapes differ in nothing but the channels."""
    return len(one) == len(other) and one[1:] == other[1:]


def _broadcast(one: Shape, other: Shape) -> bool:
    """Return True if every axis is equal, or 1 in one of them."""
    if len(one) != len(other):
        return False
    return all(a == b or 1 in (a, b) for a, b in zip(one, other, strict=True))


def _last_change(graph: GraphBuilder, value: int, entry: Value) -> tuple[str, Span, str] | None:
    """Return the field, span and result of the last step since `entry` that changed the size."""
    while value != entry and graph.nodes[value].inputs:
        node = graph.nodes[value]
        before = graph.nodes[node.inputs[0]]
        if node.shape[1:] != before.shape[1:]:
            return _change(graph, node)
        value = before.index
    return None


def _change(graph: GraphBuilder, node: Node) -> tuple[str, Span, str] | None:
    origin = graph.origins[node.index]
    if origin is None:
        return None
    step, frame = origin
    field = "padding" if "padding" in step.arguments else "kernel"
    if max(getattr(node.op, "stride", None) or (1,)) > 1:
        field = "stride"
    argument = step.arguments.get(field) or step.arguments.get("kernel")
    span = frame.origin(argument).span if argument else step.span
    return field, span, format_shape(node.shape[1:] or node.shape)
