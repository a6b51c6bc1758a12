"""Dropout."""

from __future__ import annotations

from archspec.codegen.lowering import Module, restated
from archspec.ir.types import Shape
from archspec.ops.regularize import Dropout


def dropout(op: Dropout, x: Shape) -> Module:
    return Module("layers.Dropout", (restated(op, "rate", keyword=False),))


LOWERED = {"dropout": dropout}
