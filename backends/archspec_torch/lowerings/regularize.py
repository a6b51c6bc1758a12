"""Dropout."""

from __future__ import annotations

from archspec.ops.regularize import Dropout
from archspec.types import Shape
from archspec_torch.lowering import Module, restated


def dropout(op: Dropout, x: Shape) -> Module:
    return Module("nn.Dropout", (restated(op, "rate", "p", keyword=False),))


LOWERED = {"dropout": dropout}
