"""What one element of a layer's output sees of the input: its receptive field and total stride, per axis.

A window of size k and stride s adds (k - 1) * stride to the field and multiplies the stride by s; an upsampling divides
the stride. Where branches meet, the field spans all of theirs. The field is that of the arithmetic: it may reach past
the input's border, and the statistics of a normalisation are not part of it.
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
class Field:
    """Per axis, in positions of the input: the field's size, its step from output to output, where the first starts.

    `whole` says that a layer saw all positions of its input at once, as a linear layer does: what follows sees no less.
    """

    size: tuple[int, ...]
    stride: tuple[Number, ...]
    start: tuple[Number, ...]
    whole: bool = False


def receptive(subject: Graph | HasGraph) -> tuple[Field, ...]:
    """The field of every node, by its index."""
    graph = graph_of(subject)
    rank = len(graph.input) - 1
    fields = [Field((1,) * rank, (1,) * rank, (0,) * rank)]
    for node in graph.nodes[1:]:
        fields.append(_through(node, graph.inputs(node), _span([fields[i] for i in node.inputs])))
    return tuple(fields)


def _span(fields: Sequence[Field]) -> Field:
    """The field that spans all of these."""
    if len(fields) == 1:
        return fields[0]
    start = tuple(map(min, *(f.start for f in fields)))
    ends = [[a + n for a, n in zip(f.start, f.size, strict=True)] for f in fields]
    size = tuple(math.ceil(end - a) for end, a in zip(map(max, *ends), start, strict=True))
    return Field(
        size, tuple(map(max, *(f.stride for f in fields))), start, any(f.whole for f in fields)
    )


def _through(node: Node, inputs: tuple[Shape, ...], field: Field) -> Field:
    if field.whole or not field.size:
        return field
    window = node.op.window(*inputs)
    if window is not None:
        return _slide(field, zip(*window, strict=True))
    if node.op.variadic or len(node.shape) == len(inputs[0]):
        return field
    # flatten and reshape do away with the positions: what follows sees all of them
    seen = _slide(field, ((n, 1, 0) for n in inputs[0][1:]))
    return Field(seen.size, seen.stride, seen.start, whole=True)


def _slide(field: Field, window: Iterable[tuple[int, Number, int]]) -> Field:
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
    return Field(size, stride, start)


def _reduced(value: Number) -> Number:
    return value.numerator if value.denominator == 1 else value
