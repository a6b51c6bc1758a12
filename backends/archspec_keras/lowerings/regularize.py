"""Dropout."""

from __future__ import annotations

from archspec.ops.regularize import Dropout
from archspec.source.lowering import Module, restated
from archspec.types import Shape


def dropout(op: Dropout, x: Shape) -> Module:
    return Module("layers.Dropout", (restated(op, "rate", keyword=False),))


LOWERED = {"dropout": dropout}
