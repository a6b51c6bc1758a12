"""How each op becomes ONNX nodes, one family a file as in `archspec/ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archspec_onnx.lowering import Site
from archspec_onnx.lowerings import activation, conv, linear, merge, norm, pool, regularize, shape

FAMILIES = (conv, linear, pool, norm, activation, regularize, shape, merge)

LOWERED: Mapping[str, Callable[..., str]] = {
    kind: function for family in FAMILIES for kind, function in family.LOWERED.items()
}
"""By the op's name in specs: adds the nodes at a site, and returns the name of the value that the op computes."""


def lower(site: Site) -> str:
    """Lowers a site; what changes nothing adds nothing, and gives the value that it reads."""
    op: Any = site.node.op
    return LOWERED[op.kind](site, op)
