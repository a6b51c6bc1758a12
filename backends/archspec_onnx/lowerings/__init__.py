"""The lowering of each op to ONNX nodes, one family a file as in `archspec/ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archspec_onnx.lowering import LoweringContext
from archspec_onnx.lowerings import activation, conv, linear, merge, norm, pool, regularize, shape

FAMILIES = (conv, linear, pool, norm, activation, regularize, shape, merge)

LOWERED: Mapping[str, Callable[..., str]] = {
    kind: function for family in FAMILIES for kind, function in family.LOWERED.items()
}
"""The lowering of each op, by its name in specs: it adds nodes to a context, and returns the name
of the op's value. An op that changes nothing returns the name of its input."""


def lower(ctx: LoweringContext) -> str:
    """Lower the context's node, and return the name of its value."""
    op: Any = ctx.node.op
    return LOWERED[op.kind](ctx, op)
