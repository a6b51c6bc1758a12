"""Receptive field and total stride of each layer, per axis: the input that one output element sees.

A window of size k and stride s adds (k - 1) * stride to the receptive field and multiplies the
stride by s; an upsampling divides the stride. Behind an upsampling, neighbours see different
numbers of positions, in a pattern that repeats: the field is the largest. Where branches meet, it
spans all of theirs. It is arithmetic: it may reach past the border of the input, and the statistics
of a normalisation are not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from archspec.analysis import HasGraph, graph_of
from archspec.ir.graph import Graph, Node
from archspec.ir.op import MAX_PERIOD, Reads
from archspec.ir.types import Shape

Number = int | Fraction
Positions = tuple[Number | None, ...]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Size, step from one output to the next, and first position, per axis in input positions.

    `whole` is set once a layer has seen every position of its input, as a linear layer does.
    """

    size: tuple[int, ...]
    stride: tuple[Number, ...]
    start: tuple[Number, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    """The positions of the network's input that outputs see along an axis, as in `Reads`."""

    first: Positions = (0,)
    last: Positions = (0,)
    advance: Number = 1

    @property
    def period(self) -> int:
        return len(self.first)

    @property
    def stride(self) -> Number:
        return _reduced(Fraction(self.advance) / self.period)

    @property
    def start(self) -> Number:
        return next((_reduced(position) for position in self.first if position is not None), 0)

    @property
    def size(self) -> int:
        """The positions that an output sees, the most of all outputs."""
        rows = zip(self.first, self.last, strict=True)
        sizes = [b - a + 1 for a, b in rows if a is not None and b is not None]
        return math.ceil(max(sizes, default=0))

    def span(self, outputs: range) -> tuple[Number | None, Number | None]:
        """Return the first and the last position that any of these outputs sees."""
        # Outputs a period apart see the same, moved on: the first and the last period tell all.
        low = [self._at(self.first, i) for i in outputs[: self.period]]
        high = [self._at(self.last, i) for i in outputs[-self.period :]]
        return (
            min((n for n in low if n is not None), default=None),
            max((n for n in high if n is not None), default=None),
        )

    def _at(self, positions: Positions, output: int) -> Number | None:
        turns, index = divmod(output, self.period)
        position = positions[index]
        return None if position is None else position + turns * self.advance

    def bound(self) -> _Axis:
        """Return an axis of period one that holds all that this one does."""
        return _Axis((self.start,), (self.start + self.size - 1,), self.stride)


Field = tuple[tuple[_Axis, ...], bool]
"""The axes of a node, and True once it has seen everything."""


def receptive_fields(subject: Graph | HasGraph) -> tuple[ReceptiveField, ...]:
    """Return the receptive field of every node, by its index."""
    graph = graph_of(subject)
    fields: list[Field] = [((_Axis(),) * (len(graph.input) - 1), False)]
    for node in graph.nodes[1:]:
        entering = _joined([fields[i] for i in node.inputs])
        fields.append(_through(node, graph.inputs(node), entering))
    return tuple(_summary(*field) for field in fields)


def _summary(axes: tuple[_Axis, ...], whole: bool) -> ReceptiveField:
    return ReceptiveField(
        tuple(axis.size for axis in axes),
        tuple(axis.stride for axis in axes),
        tuple(axis.start for axis in axes),
        whole,
    )


def _joined(fields: Sequence[Field]) -> Field:
    """Return the smallest field that contains all of these."""
    if len(fields) == 1:
        return fields[0]
    axes = zip(*(axes for axes, _ in fields), strict=True)
    return tuple(map(_union, axes)), any(whole for _, whole in fields)


def _union(axes: Sequence[_Axis]) -> _Axis:
    period = math.lcm(*(axis.period for axis in axes))
    if len({axis.stride for axis in axes}) == 1 and period <= MAX_PERIOD:
        spans = [_union_at(axes, output) for output in range(period)]
        first, last = zip(*spans, strict=True)
        return _Axis(first, last, axes[0].advance * (period // axes[0].period))
    # One is broadcast along the others, or the pattern is too long to list.
    bounds = [axis.bound() for axis in axes]
    start = min(axis.start for axis in bounds)
    end = max(axis.start + axis.size for axis in bounds)
    return _Axis((start,), (end - 1,), max(axis.stride for axis in bounds))


def _union_at(axes: Sequence[_Axis], output: int) -> tuple[Number | None, Number | None]:
    """Return the first and the last position that an output sees along any of these."""
    spans = [axis.span(range(output, output + 1)) for axis in axes]
    low = min((low for low, _ in spans if low is not None), default=None)
    high = max((high for _, high in spans if high is not None), default=None)
    return low, high


def _through(node: Node, inputs: tuple[Shape, ...], field: Field) -> Field:
    axes, whole = field
    if whole or not axes:
        return field
    window = node.op.window(*inputs)
    if window is not None:
        return tuple(map(_behind, axes, window)), False
    if node.op.variadic or len(node.shape) == len(inputs[0]):
        return field
    # flatten and reshape drop the positions: every later layer sees all of them
    return tuple(map(_behind, axes, map(Reads.sliding, inputs[0][1:]))), True


def _behind(axis: _Axis, reads: Reads) -> _Axis:
    """Return what outputs see that read these positions of an axis."""
    advance, period = reads.advance, len(reads.first)
    repeats = axis.period // math.gcd(int(advance), axis.period)
    if isinstance(advance, Fraction) or period * repeats > MAX_PERIOD:
        return _bound_behind(axis.bound(), reads)
    first: list[Number | None] = []
    last: list[Number | None] = []
    for output in range(period * repeats):
        turns, index = divmod(output, period)
        begin, end = reads.first[index], reads.last[index]
        outputs = range(0)
        if begin is not None and end is not None:
            moved = turns * advance
            outputs = range(int(begin) + moved, int(end) + moved + 1, reads.step)
        low, high = axis.span(outputs)
        first.append(low)
        last.append(high)
    return _Axis(tuple(first), tuple(last), Fraction(axis.stride) * repeats * advance)


def _bound_behind(axis: _Axis, reads: Reads) -> _Axis:
    """Return a bound of what outputs see, by the largest that one reads."""
    rows = [
        (begin, end)
        for begin, end in zip(reads.first, reads.last, strict=True)
        if begin is not None and end is not None
    ]
    reach = max((end - begin for begin, end in rows), default=0)
    start = axis.start + rows[0][0] * axis.stride if rows else axis.start
    stride = axis.stride * Fraction(reads.advance) / len(reads.first)
    return _Axis((start,), (start + axis.size - 1 + reach * axis.stride,), stride)


def _reduced(value: Number) -> Number:
    return value.numerator if value.denominator == 1 else value
