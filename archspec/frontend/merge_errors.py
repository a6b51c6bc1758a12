"""Explanations of merges that do not fit: which branches differ, and what changed them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from archspec.diagnostics import Note, Span, quote
from archspec.frontend.frame import Frame, Value
from archspec.frontend.graph_builder import GraphBuilder
from archspec.frontend.merge_fixes import Mismatch, fix
from archspec.frontend.size_changes import (
    Change,
    Scale,
    changes,
    channel_changes,
    common_ancestor,
    net_scale,
    size_culprits,
)
from archspec.frontend.step import Step
from archspec.ir.op import ShapeError
from archspec.ir.types import Shape, format_shape

MAX_CANDIDATES = 20
"""Distinct shapes that are tried as the usual one: comparing them all takes quadratic time."""
MAX_NOTES = 3

Agree = Callable[[Shape, Shape], bool]


@dataclass(frozen=True)
class Operand:
    """A value that is joined: its name where the merge stands, its node and its shape."""

    name: str
    span: Span
    value: int
    shape: Shape


def report_merge_error(
    graph: GraphBuilder,
    frame: Frame,
    step: Step,
    error: ShapeError,
    values: list[int],
    entry: Value,
) -> None:
    """Report a merge's `ShapeError` at each branch, or step under `from`, that differs."""
    names = _operand_names(frame, step)
    operands = [
        Operand(name, span, value, graph.nodes[value].shape)
        for (name, span), value in zip(names, values, strict=True)
    ]
    noun = "value" if step.branches is None else "branch"
    agree = _same_size if error.code == "AS0301" else _broadcast
    start = None if entry is None or step.branches is None else entry
    standard = _standard_size(graph, operands, start)
    source = graph.nodes[start].shape if start is not None else None
    usual = _usual([operand.shape for operand in operands], standard, source, agree)
    fitting = [operand for operand in operands if agree(usual, operand.shape)]
    agreement = _agreement(noun, fitting, usual)
    for operand in operands:
        if agree(usual, operand.shape):
            continue
        mismatch = _mismatch(graph, operand, fitting, usual, start)
        notes = (Note(agreement), *_notes(mismatch, start, error.code != "AS0301"))
        help = fix(mismatch, error.code, graph.legal_inputs)
        label = f"this {noun} is {format_shape(operand.shape)}"
        frame.fail(error.code, operand.span, error.message, help, notes, label)


def _operand_names(frame: Frame, step: Step) -> list[tuple[str, Span]]:
    """Return the name and span of each value that is joined."""
    if step.branches is not None:
        return [(label, span) for label, (span, _) in step.branches.items()]
    argument = step.reserved["from"]
    return [(str(frame.evaluate(item)), item.span) for item in argument.children or [argument]]


def _standard_size(graph: GraphBuilder, operands: Sequence[Operand], start: int | None) -> Shape:
    """Return the size that enters the merge, or what all of the operands scale it to.

    Under `from` it is the value that they come from, if one of them has its size, or else the one
    that is computed first.
    """
    first = min(operands, key=lambda operand: operand.value)
    if start is None:
        common = _common_source(graph, operands)
        if common is None or all(common[1:] != operand.shape[1:] for operand in operands):
            return first.shape[1:]
        return common[1:]
    size = graph.nodes[start].shape[1:]
    scales = {_size_scale(graph, operand.value, start) for operand in operands}
    scale = next(iter(scales))
    if len(scales) > 1 or not scale:
        return size
    scaled = tuple(math.ceil(n * factor) for n, factor in zip(size, scale, strict=True))
    fits = any(operand.shape[1:] == scaled for operand in operands)
    return scaled if fits else first.shape[1:]


def _common_source(graph: GraphBuilder, operands: Sequence[Operand]) -> Shape | None:
    """Return the shape of the last node that all of the operands come from."""
    common: int | None = operands[0].value
    for operand in operands[1:]:
        common = None if common is None else common_ancestor(graph, operand.value, common)
    return None if common is None else graph.nodes[common].shape


def _size_scale(graph: GraphBuilder, value: int, start: int) -> Scale | None:
    """Return the factor by which a branch scales what enters it; None if it does not."""
    steps = [step for step in changes(graph, value, start) if step.size != step.before[1:]]
    scale = net_scale(steps)
    return scale if scale and any(factor != 1 for factor in scale) else None


def _usual(shapes: Sequence[Shape], standard: Shape, entering: Shape | None, agree: Agree) -> Shape:
    """Return the shape that most of them agree with, if two do; else one of the standard size.

    Of several of that size it is the one that enters the merge, a shortcut.
    """
    counts = Counter(shapes)

    def support(shape: Shape) -> tuple[int, bool, bool]:
        count = sum(count for other, count in counts.items() if agree(shape, other))
        return count, shape[1:] == standard, shape == entering

    # A shape that broadcasts agrees with all: one that is not stretched says more.
    candidates = sorted([*counts][:MAX_CANDIDATES], key=lambda shape: 1 in shape[1:])
    best = max(candidates, key=support)
    return (best[0], *standard) if support(best)[:2] == (1, False) else best


def _agreement(noun: str, fitting: Sequence[Operand], usual: Shape) -> str:
    """Return the note on the operands that do fit."""
    if not fitting:
        return f"what enters the merge is {format_shape(usual[1:]) or 'a vector'}"
    if len(fitting) == 1:
        return f"{noun} {quote(fitting[0].name)} is {format_shape(fitting[0].shape)}"
    *most, last = (f"{operand.name} ({format_shape(operand.shape)})" for operand in fitting)
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


def _mismatch(
    graph: GraphBuilder, operand: Operand, fitting: Sequence[Operand], usual: Shape, start: Value
) -> Mismatch:
    other = fitting[0] if fitting else None
    since = start
    if since is None and other is not None:
        since = common_ancestor(graph, other.value, operand.value)
    unchanged = other is not None and other.value == since
    return Mismatch(
        operand.name,
        operand.shape,
        other.name if other else "",
        usual,
        tuple(changes(graph, operand.value, since)),
        tuple(changes(graph, other.value, since)) if other else (),
        is_shortcut=unchanged,
    )


def _notes(mismatch: Mismatch, start: Value, elementwise: bool) -> Iterator[Note]:
    """Yield what made the size and the channels of the operand differ."""
    if mismatch.axes or mismatch.is_rank:
        culprits = size_culprits(mismatch.changes, mismatch.axes)
        yield from _size_notes(mismatch.name, culprits, mismatch.changes, start)
        if not culprits:
            yield from _size_notes(
                mismatch.other,
                size_culprits(mismatch.other_changes, mismatch.axes),
                mismatch.other_changes,
                start,
            )
    if elementwise and mismatch.channels_differ:
        for name, steps in (
            (mismatch.name, mismatch.changes),
            (mismatch.other, mismatch.other_changes),
        ):
            last = channel_changes(steps)[-1:]
            if last:
                yield last[0].channel_note(name)
                break


def _size_notes(
    name: str, culprits: Sequence[Change], steps: Sequence[Change], start: Value
) -> Iterable[Note]:
    # The step's own name tells it from others, except where a branch has only the one.
    is_only = start is not None and len(culprits) == 1
    return [step.note(name if is_only else step.name) for step in culprits[:MAX_NOTES]]
