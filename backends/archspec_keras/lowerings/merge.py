"""Merges, which are layers that take a list."""

from __future__ import annotations

from archspec.codegen.lowering import Merge, Module
from archspec.ir.op import Op
from archspec.ir.types import Shape


def concat(op: Op, *inputs: Shape) -> Merge:
    return Merge("cat", Module("layers.Concatenate"))


def add(op: Op, *inputs: Shape) -> Merge:
    # Keras's own treats an operand that varies along one axis as a bias, and on TensorFlow that
    # axis can be the batch.
    spread = len(set(inputs)) > 1
    return Merge("+", Module("Sum", helper=True) if spread else Module("layers.Add"))


def multiply(op: Op, *inputs: Shape) -> Merge:
    return Merge("*", Module("layers.Multiply"))


LOWERED = {"concat": concat, "add": add, "multiply": multiply}
