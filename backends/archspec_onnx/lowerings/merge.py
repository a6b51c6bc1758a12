"""Merges."""

from __future__ import annotations

from archspec.ir.op import Op
from archspec_onnx.lowering import LoweringContext


def concat(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("Concat", *ctx.inputs, axis=1)


def add(ctx: LoweringContext, op: Op) -> str:
    return _chain(ctx, "Add")


def multiply(ctx: LoweringContext, op: Op) -> str:
    return _chain(ctx, "Mul")


def _chain(ctx: LoweringContext, operator: str) -> str:
    """Merge two at a time, a form that engines fuse."""
    value, *others = ctx.inputs
    for i, other in enumerate(others):
        part = "" if i == len(others) - 1 else f"first{i + 2}"
        value = ctx.add(operator, value, other, part=part)
    return value


LOWERED = {"concat": concat, "add": add, "multiply": multiply}
