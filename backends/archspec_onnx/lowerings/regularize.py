"""Dropout."""

from __future__ import annotations

from archspec.ops.regularize import Dropout
from archspec_onnx.lowering import Site


def dropout(site: Site, op: Dropout) -> str:
    """In train mode it is switched by an input of the graph, so that a run can be repeated and compared."""
    if not (site.train and op.rate):
        return site.x
    return site.add("Dropout", site.x, site.constant("ratio", op.rate), site.names.dropout)


LOWERED = {"dropout": dropout}
