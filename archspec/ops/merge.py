"""Merges: several values become one, as in inception, residual, dense and squeeze-excite blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import accumulate

from archspec._numpy import Array, np
from archspec.ir.op import Derivatives, EvalContext, Op, ShapeError
from archspec.ir.types import Shape, format_shape


class Concat(Op):
    """Concatenates its branches along the channels.

    >>> Concat().shape((64, 28, 28), (128, 28, 28))
    (192, 28, 28)
    """

    kind = "concat"
    family = "merge"
    variadic = True

    def shape(self, *inputs: Shape) -> Shape:
        if len({x[1:] for x in inputs}) > 1:
            raise ShapeError("AS0301", "concat branches differ outside the channel axis")
        return (sum(x[0] for x in inputs), *inputs[0][1:])

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return np.concatenate(inputs, axis=1)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        ends = list(accumulate(x.shape[1] for x in inputs))
        return tuple(np.split(cotangent, ends[:-1], axis=1)), {}


class _Elementwise(Op):
    """An elementwise merge: axes of size 1 broadcast, and all inputs have the same rank."""

    family = "merge"
    variadic = True

    def shape(self, *inputs: Shape) -> Shape:
        shown = " and ".join(format_shape(x) for x in inputs)
        message = f"{self.kind} operands {shown} do not broadcast"
        if len({len(x) for x in inputs}) > 1:
            raise ShapeError("AS0302", message, "give every branch the same number of axes")
        axes = [sorted(set(axis) - {1}) for axis in zip(*inputs, strict=True)]
        if any(len(axis) > 1 for axis in axes):
            raise ShapeError("AS0302", message, "make the axes equal, or 1")
        return tuple(axis[0] if axis else 1 for axis in axes)


def _unbroadcast(share: Array, x: Array) -> Array:
    """Add a derivative up over the axes along which x was broadcast."""
    broadcast = tuple(axis for axis in range(x.ndim) if x.shape[axis] != share.shape[axis])
    return share.sum(axis=broadcast, keepdims=True)


class Add(_Elementwise):
    """Adds its branches element by element: a residual connection.

    >>> Add().shape((64, 56, 56), (64, 56, 56))
    (64, 56, 56)
    """

    kind = "add"

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return reduce(np.add, inputs)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        return tuple(_unbroadcast(cotangent, x) for x in inputs), {}


class Multiply(_Elementwise):
    """Multiplies its branches element by element: a gate, as in squeeze-and-excitation.

    >>> Multiply().shape((64, 56, 56), (64, 1, 1))
    (64, 56, 56)
    """

    kind = "multiply"

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return reduce(np.multiply, inputs)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        # Products of the other inputs; the product of all, divided by one, fails if that is zero.
        others = [(*inputs[:i], *inputs[i + 1 :]) for i in range(len(inputs))]
        return tuple(
            _unbroadcast(reduce(np.multiply, o, cotangent), x)
            for o, x in zip(others, inputs, strict=True)
        ), {}


OPS = (Concat, Add, Multiply)
