"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from archspec._numpy import Array
from archspec.ir.op import Derivatives, EvalContext, Op, ParamSpec, ShapeError
from archspec.ir.types import Positive, Shape, format_shape


class Linear(Op):
    """A weighted sum of all features per output: y = x @ weight.T + bias.

    >>> Linear(out=1000).shape((1024,)), Linear(out=1000).macs((1024,))
    ((1000,), 1024000)
    """

    kind = "linear"
    family = "linear"
    depth = "layer"

    out: Positive = Field(description="Output features.")
    bias: bool = Field(default=True, description="Add a learnt number per output feature.")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) != 1:
            message = f"linear on an unflattened input of {format_shape(x)}"
            raise ShapeError("AS0306", message, "put `flatten` before it")
        return (self.out,)

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        (x,) = inputs
        weight = ParamSpec("weight", (self.out, x[0]), "xavier_uniform", (x[0], self.out))
        return (weight, ParamSpec("bias", (self.out,), 0.0)) if self.bias else (weight,)

    def macs(self, *inputs: Shape) -> int:
        return inputs[0][0] * self.out

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        y = inputs[0] @ params["weight"].T
        return y + params["bias"] if self.bias else y

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        bias = {"bias": cotangent.sum(axis=0)} if self.bias else {}
        return (cotangent @ params["weight"],), {"weight": cotangent.T @ inputs[0], **bias}


OPS = (Linear,)
