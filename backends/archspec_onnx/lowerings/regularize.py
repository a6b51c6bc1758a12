"""Dropout."""

from __future__ import annotations

from archspec.ops.regularize import Dropout
from archspec_onnx.lowering import LoweringContext


def dropout(ctx: LoweringContext, op: Dropout) -> str:
    """Add an input of the graph in train mode that turns it off, so that runs can be compared."""
    if not (ctx.train and op.rate):
        return ctx.x
    return ctx.add("Dropout", ctx.x, ctx.constant("ratio", op.rate), ctx.names.dropout)


LOWERED = {"dropout": dropout}
