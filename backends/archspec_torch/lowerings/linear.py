"""The fully connected layer."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, field_arg
from archspec.ir.types import Shape
from archspec.ops.linear import Linear


def linear(op: Linear, x: Shape) -> Module:
    sizes = (Arg("in_features", x[0], hint="in"), Arg("out_features", op.out, "out", hint="out"))
    return Module("nn.Linear", (*sizes, field_arg(op, "bias", default=True)))


LOWERED = {"linear": linear}
