"""Dropout."""

from __future__ import annotations

from archspec.codegen.lowering import Module, restated
from archspec.ir.types import Shape
from archspec.ops.regularize import Dropout


def dropout(op: Dropout, x: Shape) -> Module:
    return Module("nn.Dropout", (restated(op, "rate", "p", keyword=False),))


LOWERED = {"dropout": dropout}
