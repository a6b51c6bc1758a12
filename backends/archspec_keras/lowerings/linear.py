"""The fully connected layer."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, field_arg
from archspec.ir.types import Shape
from archspec.ops.linear import Linear


def linear(op: Linear, x: Shape) -> Module:
    return Module(
        "layers.Dense",
        (Arg("units", op.out, "out", hint="out"), field_arg(op, "bias", "use_bias", True)),
    )


LOWERED = {"linear": linear}
