"""Merges."""

from __future__ import annotations

from archspec.ir.op import Op
from archspec_onnx.lowering import Site


def concat(site: Site, op: Op) -> str:
    return site.add("Concat", *site.inputs, axis=1)


def add(site: Site, op: Op) -> str:
    return _chain(site, "Add")


def multiply(site: Site, op: Op) -> str:
    return _chain(site, "Mul")


def _chain(site: Site, operator: str) -> str:
    """Two at a time, as engines fuse them."""
    value, *others = site.inputs
    for i, other in enumerate(others):
        value = site.add(
            operator, value, other, part="" if i == len(others) - 1 else f"first{i + 2}"
        )
    return value


LOWERED = {"concat": concat, "add": add, "multiply": multiply}
