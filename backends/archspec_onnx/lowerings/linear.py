"""The fully connected layer."""

from __future__ import annotations

from archspec.ops.linear import Linear
from archspec_onnx.lowering import LoweringContext


def linear(ctx: LoweringContext, op: Linear) -> str:
    return ctx.add("Gemm", ctx.x, *ctx.tensors("weight", "bias"), transB=1)


LOWERED = {"linear": linear}
