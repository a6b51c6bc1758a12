"""The lowering of each op to PyTorch, one family a file as in `archspec/ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archspec.codegen.lowering import Lowered
from archspec.ir.op import Op
from archspec.ir.types import Shape
from archspec_torch.lowerings import activation, conv, linear, merge, norm, pool, regularize, shape

FAMILIES = (conv, linear, pool, norm, activation, regularize, shape, merge)

LOWERED: Mapping[str, Callable[..., Any]] = {
    kind: function for family in FAMILIES for kind, function in family.LOWERED.items()
}
"""The lowering of each op, by its name in specs: from the op and its input shapes to a call."""


def lower(op: Op, *inputs: Shape) -> Lowered:
    """Return the constructor call, or the merge, of an op for inputs of these shapes.

    >>> from archspec.ops import OPS
    >>> lower(OPS["linear"](out=10), (1024,)).show()
    'nn.Linear(in_features=1024, out_features=10)'
    """
    return LOWERED[op.kind](op, *inputs)
