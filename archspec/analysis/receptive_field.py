"""Receptive field and total stride of each layer, per axis: the input that one output element sees.

A window of size k and stride s adds (k - 1) * stride to the receptive field and multiplies the
stride by s; an upsampling divides the stride. Where branches meet, the field spans all of theirs.
It is arithmetic: it may reach past the border of the input, and the statistics of a normalisation
are not part of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from archspec.analysis import HasGraph, graph_of
from archspec.ir.graph import Graph, Node
from archspec.ir.types import Shape

Number = int | Fraction


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Size, step from one output to the next, and first position, per axis in input positions.

    `whole` is set once a layer has seen every position of its input, as a linear layer does.
    """

    size: tuple[int, ...]
    stride: tuple[Number, ...]
    start: tuple[Number, ...]
    whole: bool = False


def receptive_fields(subject: Graph | HasGraph) -> tuple[ReceptiveField, ...]:
    """Return the receptive field of every node, by its index."""
    graph = graph_of(subject)
    rank = len(graph.input) - 1
    fields = [ReceptiveField((1,) * rank, (1,) * rank, (0,) * rank)]
    for node in graph.nodes[1:]:
        entering = _span([fields[i] for i in node.inputs])
        fields.append(_through(node, graph.inputs(node), entering))
    return tuple(fields)


def _span(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """Return the smallest field that contains all of these."""
    if len(fields) == 1:
        return fields[0]
    start = tuple(map(min, *(f.start for f in fields)))
    ends = [[a + n for a, n in zip(f.start, f.size, strict=True)] for f in fields]
    size = tuple(math.ceil(end - a) for end, a in zip(map(max, *ends), start, strict=True))
    stride = tuple(map(max, *(f.stride for f in fields)))
    return ReceptiveField(size, stride, start, any(f.whole for f in fields))


def _through(node: Node, inputs: tuple[Shape, ...], field: ReceptiveField) -> ReceptiveField:
    if field.whole or not field.size:
        return field
    window = node.op.window(*inputs)
    if window is not None:
        return _slide(field, zip(*window, strict=True))
    if node.op.variadic or len(node.shape) == len(inputs[0]):
        return field
    # flatten and reshape drop the positions: every later layer sees all of them
    seen = _slide(field, ((n, 1, 0) for n in inputs[0][1:]))
    return ReceptiveField(seen.size, seen.stride, seen.start, whole=True)


def _slide(field: ReceptiveField, window: Iterable[tuple[int, Number, int]]) -> ReceptiveField:
    axes = [
        (
            math.ceil(size + (reach - 1) * stride),
            _reduced(stride * step),
            _reduced(start - before * stride),
        )
        for size, stride, start, (reach, step, before) in zip(
            field.size, field.stride, field.start, window, strict=True
        )
    ]
    size, stride, start = zip(*axes, strict=True)
    return ReceptiveField(size, stride, start)


def _reduced(value: Number) -> Number:
    return value.numerator if value.denominator == 1 else value
