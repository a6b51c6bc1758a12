"""Arguments of a layer's constructor: hints for their expressions, and which ones are written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from archspec.codegen.expressions import apply, const, product_of, to_python
from archspec.codegen.lowering import REQUIRED, Arg
from archspec.codegen.printer import Code
from archspec.codegen.resolve import Channels, same
from archspec.ir.expr import Const, Expr
from archspec.ir.types import Shape


def hints_for(arg: Arg, exprs: Mapping[Arg, Expr], entering: Expr | None) -> Channels:
    """Return the expressions to try first for an argument, given those of earlier ones."""
    if arg.hint == "in":
        return [entering]
    fields = {other.field: expr for other, expr in exprs.items()}
    if arg.hint == "half kernel" and "kernel" in fields:
        half = apply("//", fields["kernel"], const(2))
        return [product_of([fields.get("dilation", const(1)), half])]
    return []


def flattened_channels(entering: Expr | None, shape: Shape) -> Expr | None:
    """Return the features of a flattened value of this shape, as in `out * 7 * 7`."""
    if entering is None or math.prod(shape[1:]) == 1:
        return entering
    return product_of([entering, *map(const, shape[1:])])


def written_args(args: Sequence[Arg], exprs: Mapping[Arg, Expr]) -> list[tuple[str, Code]]:
    """Return the arguments that differ from the framework's defaults, as keyword and code."""
    by_name = {arg.name: exprs[arg] for arg in args}
    written: list[tuple[str, Code]] = []
    for arg in args:
        expr = by_name[arg.name]
        if arg.default is not REQUIRED and is_value(expr, arg.default):
            continue
        if arg.like and expr == by_name[arg.like]:
            continue
        written.append((arg.name if arg.keyword else "", to_python(expr)))
    return written


def is_value(expr: Expr, value: Any) -> bool:
    """Return whether an expression is just this value."""
    return isinstance(expr, Const) and same(expr.value, value)
