"""The fully connected layer."""

from __future__ import annotations

from archspec.ops.linear import Linear
from archspec_onnx.lowering import Site


def linear(site: Site, op: Linear) -> str:
    return site.add("Gemm", site.x, *site.tensors("weight", "bias"), transB=1)


LOWERED = {"linear": linear}
