"""The steps that changed a value's size or channels, each with what it did and where it says so.

A window without padding loses a border, a stride divides and rounds, an upsampling multiplies, a
crop cuts; a global pool or a `size` sets what comes out whatever went in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from archspec.diagnostics import Note, Span, counted, quote
from archspec.frontend.frame import Frame
from archspec.frontend.step import Step
from archspec.ir.graph import Node
from archspec.ir.types import Shape, format_shape
from archspec.ops.conv import Conv, ConvTranspose
from archspec.ops.pool import AvgPool, MaxPool
from archspec.ops.shape import Crop, Pad, Resize

AXES = {1: ("position",), 2: ("row", "column"), 3: ("plane", "row", "column")}
"""The words for one place along each axis after the channels, by how many axes there are."""
Scale = tuple[Fraction, ...]


class Built(Protocol):
    """A network under construction: its nodes, and the step and frame that each is from."""

    nodes: list[Node]
    origins: list[tuple[Step, Frame] | None]


@dataclass(frozen=True)
class Change:
    """A node whose output has another size, or other channels, than its input."""

    node: Node
    before: Shape
    step: Step
    frame: Frame

    @property
    def size(self) -> Shape:
        return self.node.shape[1:]

    @property
    def name(self) -> str:
        """The step as it is called where the merge stands."""
        return self.node.path

    @property
    def scale(self) -> Scale | None:
        """The factor of each axis, without rounding and borders; None if the size is set."""
        op = self.node.op
        if self.size == self.before[1:]:
            return (Fraction(1),) * len(self.size)
        if isinstance(op, Conv | MaxPool | AvgPool):
            return tuple(Fraction(1, s) for s in op.sliding_window(self.before).stride)
        if isinstance(op, ConvTranspose):
            return tuple(map(Fraction, op.sliding_window(self.before).stride))
        if isinstance(op, Resize) and op.scale is not None:
            rows = zip(self.size, self.before[1:], strict=True)
            return tuple(Fraction(m, n) for m, n in rows)
        is_border = isinstance(op, Pad | Crop) and getattr(op, "size", None) is None
        return (Fraction(1),) * len(self.size) if is_border else None

    @property
    def slack(self) -> tuple[Fraction, ...]:
        """Rows that rounding and borders gave each axis or took; empty if the size is set."""
        scale = self.scale
        if scale is None:
            return ()
        rows = zip(self.size, self.before[1:], scale, strict=True)
        return tuple(m - n * s for m, n, s in rows)

    @property
    def field(self) -> str:
        """The field of the op that did it; empty if there is no such field."""
        fields = ("scale", "size", "sides", "to")
        if self.scale is not None and not isinstance(self.node.op, Resize | Crop):
            # Strides first: a padding that a strided step states did not make the map smaller.
            is_strided = any(factor != 1 for factor in self.scale)
            fields = ("stride", "kernel") if is_strided else ("padding", "kernel")
        return next((name for name in fields if name in self.step.arguments), "")

    def note(self, who: str) -> Note:
        """Return what the step did to the size of the value that is called `who`."""
        result = format_shape(self.size) or "a vector"
        field = self.field
        cause = f"its {field}" if field else quote(self.node.op.kind)
        if field == "kernel" and max(self._strides()) > 1:
            # A pool's stride is its kernel's size unless stated.
            cause = f"its stride of {format_shape(tuple(sorted(set(self._strides()))))}"
        text = f"{who} became {result} by {cause}{self._rounding()}"
        return Note(text, self._span(field))

    def _strides(self) -> Shape:
        return tuple(factor.denominator for factor in self.scale or ())

    def channel_note(self, who: str) -> Note:
        """Return what the step did to the channels of the value that is called `who`."""
        field = next((name for name in ("out", "to") if name in self.step.arguments), "")
        cause = f"its {field}" if field else quote(self.node.op.kind)
        text = f"{who} became {counted(self.node.shape[0], 'channel')} by {cause}"
        return Note(text, self._span(field))

    def _span(self, field: str) -> Span:
        argument = self.step.arguments.get(field)
        return self.frame.origin(argument).span if argument else self.step.span

    def _rounding(self) -> str:
        """Return what was left out, lost or added beside the scale, in words."""
        effects: dict[str, list[str]] = {}
        words = AXES.get(len(self.size), ())
        scales = self.scale or ()
        for word, n, slack, scale in zip(words, self.before[1:], self.slack, scales, strict=False):
            if abs(slack) >= 1:
                verb = "added" if slack > 0 else "lost"
                effects.setdefault(verb, []).append(counted(math.ceil(abs(slack)), word))
            elif slack < 0:
                left = f"{counted(int(-slack / scale), word)} of {n}"
                effects.setdefault("left out", []).append(left)
            elif slack > 0:
                effects.setdefault("rounded up", []).append(f"{n} / {1 / scale}")
        return "".join(f", {' and '.join(parts)} {verb}" for verb, parts in effects.items())


def chain(graph: Built, value: int) -> Iterator[Node]:
    """Yield the node of a value and those before it, each an input of the one after it."""
    node = graph.nodes[value]
    yield node
    while node.inputs:
        node = _input_of(graph, node)
        yield node


def _input_of(graph: Built, node: Node) -> Node:
    """Return the input that gives a node its size: of a product, the one that is not stretched."""
    inputs = [graph.nodes[index] for index in node.inputs]
    return next((one for one in inputs if one.shape[1:] == node.shape[1:]), inputs[0])


def common_ancestor(graph: Built, one: int, other: int) -> int | None:
    """Return the last node that two values both come from."""
    seen = {node.index for node in chain(graph, one)}
    return next((node.index for node in chain(graph, other) if node.index in seen), None)


def changes(graph: Built, value: int, start: int | None) -> list[Change]:
    """Return the steps from `start` to a value that changed its shape, in their order."""
    changes: list[Change] = []
    for node in chain(graph, value):
        if node.index == start or not node.inputs:
            break
        before = _input_of(graph, node).shape
        origin = graph.origins[node.index]
        if node.shape != before and origin is not None:
            changes.append(Change(node, before, *origin))
    return changes[::-1]


def channel_changes(steps: Sequence[Change]) -> list[Change]:
    """Return those of the steps that changed the number of channels."""
    return [step for step in steps if step.node.shape[0] != step.before[0]]


def net_scale(steps: Sequence[Change]) -> Scale | None:
    """Return the product of the steps' factors; None if one of them sets the size."""
    product: Scale = ()
    for step in steps:
        scale = step.scale
        if scale is None:
            return None
        rows = zip(product or (Fraction(1),) * len(scale), scale, strict=True)
        product = tuple(a * b for a, b in rows)
    return product


def size_culprits(steps: Sequence[Change], axes: Sequence[int]) -> list[Change]:
    """Return those of the steps that account for another size along these axes.

    Nothing before a step that sets the size has an effect. Where the factors of the others cancel,
    as in a pool and an upsampling, it is those that rounded or lost a border; else those that
    scaled.
    """
    resized = [step for step in steps if step.node.shape[1:] != step.before[1:]]
    for index in reversed(range(len(resized))):
        if resized[index].scale is None:
            return resized[index:][:1]
    net = net_scale(resized) or ()
    if all(net[axis] == 1 for axis in axes if axis < len(net)):
        return [step for step in resized if any(step.slack[axis] for axis in axes)]
    scaled = [step for step in resized if any((step.scale or net)[a] != 1 for a in axes)]
    whole = [step for step in scaled if step.scale == net]
    return whole[-1:] or scaled
