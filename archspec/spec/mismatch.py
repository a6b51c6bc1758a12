"""Why branches do not fit together: which differ, from which the others, and the step where it happened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from archspec.diagnostics import Note, Span, quote
from archspec.op import ShapeError
from archspec.types import format_shape

if TYPE_CHECKING:
    from archspec.spec.elaborate import Elaborator
    from archspec.spec.frame import Frame, Value
    from archspec.spec.step import Step


def explain_merge(
    build: Elaborator,
    frame: Frame,
    step: Step,
    error: ShapeError,
    labels: list[str],
    spans: list[Span],
    values: list[int],
    entry: Value,
) -> None:
    """Reports a merge's `ShapeError` at each branch that is not like most of them."""
    shapes = [build.nodes[value].shape for value in values]
    sizes = [shape[1:] if error.code == "AS0301" else shape for shape in shapes]
    counts = Counter(sizes)
    usual = max(counts, key=lambda size: (counts[size], -sizes.index(size)))
    alike = [
        f"{label} ({format_shape(s)})" for label, s, size in zip(labels, shapes, sizes, strict=True) if size == usual
    ]
    agree = (
        f"branches {', '.join(alike[:-1])} and {alike[-1]} agree"
        if len(alike) > 1
        else f"branch {alike[0]} stands against it"
    )
    for label, span, value, shape, size in zip(labels, spans, values, shapes, sizes, strict=True):
        if size == usual:
            continue
        notes = [Note(agree)]
        where = _changed(build, value, entry)
        if where is not None:
            field, at, became = where
            notes.append(Note(f"{label} became {became} by its {field}", at))
        help = error.help or f"give {quote(label)} the stride and padding that keep {format_shape(usual) or 'a vector'}"
        found = f"this branch is {format_shape(shape)}"
        frame.fail(error.code, span, error.message, help, tuple(notes), found)


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
