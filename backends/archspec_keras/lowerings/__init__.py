"""The layer that each op becomes, channels last, one family a file as in `archspec/ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archspec.codegen.lowering import Lowered
from archspec.ir.op import Op
from archspec.ir.types import Shape
from archspec_keras.lowerings import activation, conv, linear, merge, norm, pool, regularize, shape

FAMILIES = (conv, linear, pool, norm, activation, regularize, shape, merge)

LOWERED: Mapping[str, Callable[..., Any]] = {
    kind: function for family in FAMILIES for kind, function in family.LOWERED.items()
}
"""By the op's name in specs, from the op and its input shapes (channels first) to a layer."""


def lower(op: Op, *inputs: Shape) -> Lowered:
    """Return the layer that an op becomes for inputs of these shapes.

    >>> from archspec.ops import OPS
    >>> lower(OPS["linear"](out=10), (1024,)).show()
    'layers.Dense(units=10)'
    """
    return LOWERED[op.kind](op, *inputs)
