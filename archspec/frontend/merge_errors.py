"""Why branches do not fit together: which differ, from which the others, and the step where it happened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archspec.diagnostics import Note, Span, quote
from archspec.ir.op import ShapeError
from archspec.ir.types import Shape, format_shape

if TYPE_CHECKING:
    from archspec.frontend.elaborate import Elaborator
    from archspec.frontend.frame import Frame, Value
    from archspec.frontend.step import Step


def explain_merge(
    build: Elaborator,
    frame: Frame,
    step: Step,
    error: ShapeError,
    values: list[int],
    entry: Value,
) -> None:
    """Reports a merge's `ShapeError` at each branch, or step under `from`, that does not fit most of them."""
    operands = _operands(frame, step)
    what = "branch" if step.branches is not None else "value"
    alike = _equal if error.code == "AS0301" else _broadcast
    shapes = [build.nodes[value].shape for value in values]
    counts = Counter(shapes)
    usual = max(
        [*counts][:20], key=lambda one: sum(n for other, n in counts.items() if alike(one, other))
    )
    fit = [
        f"{name} ({format_shape(s)})"
        for (name, _), s in zip(operands, shapes, strict=True)
        if alike(usual, s)
    ]
    agree = (
        f"{_plural(what)} {', '.join(fit[:-1])} and {fit[-1]} agree"
        if fit[1:]
        else f"{what} {fit[0]} stands against it"
    )
    for (name, span), value, shape in zip(operands, values, shapes, strict=True):
        if alike(usual, shape):
            continue
        notes = [Note(agree)]
        where = _changed(build, value, entry)
        if where is not None:
            field, at, became = where
            notes.append(Note(f"{name} became {became} by its {field}", at))
        help = (
            error.help
            or f"give {quote(name)} the stride and padding that keep {format_shape(usual[1:]) or 'a vector'}"
        )
        frame.fail(
            error.code,
            span,
            error.message,
            help,
            tuple(notes),
            f"this {what} is {format_shape(shape)}",
        )


def _operands(frame: Frame, step: Step) -> list[tuple[str, Span]]:
    """What is joined, by name and place."""
    if step.branches is not None:
        return [(label, span) for label, (span, _) in step.branches.items()]
    given = step.reserved["from"]
    return [(str(frame.evaluate(item)), item.span) for item in given.parts or [given]]


def _equal(one: Shape, other: Shape) -> bool:
    """Whether they differ in nothing but the channels."""
    return len(one) == len(other) and one[1:] == other[1:]


def _broadcast(one: Shape, other: Shape) -> bool:
    return len(one) == len(other) and all(
        a == b or 1 in (a, b) for a, b in zip(one, other, strict=True)
    )


def _plural(what: str) -> str:
    return "branches" if what == "branch" else f"{what}s"


def _changed(build: Elaborator, value: int, entry: Value) -> tuple[str, Span, str] | None:
    """The last step on the way back to `entry` that changed the size: its field, place and result."""
    while value != entry and build.nodes[value].inputs:
        node, before = build.nodes[value], build.nodes[build.nodes[value].inputs[0]]
        if node.shape[1:] != before.shape[1:]:
            step, frame = build.written[value]
            if step is None or frame is None:
                return None
            strided = max(getattr(node.op, "stride", None) or (1,)) > 1
            field = "stride" if strided else "padding" if "padding" in step.arguments else "kernel"
            argument = step.arguments.get(field) or step.arguments.get("kernel")
            span = frame.origin(argument).span if argument else step.span
            return field, span, format_shape(node.shape[1:] or node.shape)
        value = before.index
    return None
