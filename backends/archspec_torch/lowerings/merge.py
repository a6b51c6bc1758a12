"""Merges, which are written into `forward`."""

from __future__ import annotations

from archspec.codegen.lowering import Merge
from archspec.ir.op import Op
from archspec.ir.types import Shape


def concat(op: Op, *inputs: Shape) -> Merge:
    return Merge("cat")


def add(op: Op, *inputs: Shape) -> Merge:
    return Merge("+")


def multiply(op: Op, *inputs: Shape) -> Merge:
    return Merge("*")


LOWERED = {"concat": concat, "add": add, "multiply": multiply}
