"""Dropout."""

from __future__ import annotations

from archspec.codegen.lowering import Module, field_arg
from archspec.ir.types import Shape
from archspec.ops.regularize import Dropout


def dropout(op: Dropout, x: Shape) -> Module:
    return Module("nn.Dropout", (field_arg(op, "rate", "p", keyword=False),))


LOWERED = {"dropout": dropout}
