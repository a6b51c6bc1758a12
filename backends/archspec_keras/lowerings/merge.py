"""Merges, which are layers that take a list."""

from __future__ import annotations

from archspec.op import Op
from archspec.source.lowering import Merge
from archspec.types import Shape

LAYERS = {"cat": "layers.Concatenate", "+": "layers.Add", "*": "layers.Multiply"}


def concat(op: Op, *inputs: Shape) -> Merge:
    return Merge("cat")


def add(op: Op, *inputs: Shape) -> Merge:
    return Merge("+")


def multiply(op: Op, *inputs: Shape) -> Merge:
    return Merge("*")


LOWERED = {"concat": concat, "add": add, "multiply": multiply}
