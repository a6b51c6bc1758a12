"""Every layer that a spec can name, by its name there."""

from collections.abc import Mapping

from archspec.ir.op import Op
from archspec.ops import activation, conv, linear, merge, norm, pool, regularize, shape

FAMILIES = (conv, linear, pool, norm, activation, regularize, shape, merge)

OPS: Mapping[str, type[Op]] = {op.kind: op for family in FAMILIES for op in family.OPS}
