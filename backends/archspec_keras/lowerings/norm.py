"""Normalisations."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, field_arg
from archspec.ir.types import Shape
from archspec.ops.norm import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm


def batch_norm(op: BatchNorm, x: Shape) -> Module:
    # Keras's momentum is the share of the old value. Rounded, so that 1 - 0.1 reads as 0.9.
    momentum = Arg("momentum", round(1 - op.momentum, 15), default=0.99, keyword=True)
    return Module("BatchNormalization", (momentum, *_tail(op)), helper=True)


def layer_norm(op: LayerNorm, x: Shape) -> Module:
    whole = op.axes == "all" and len(x) > 1
    axis = Arg("axis", tuple(range(1, len(x) + 1)) if whole else -1, default=-1, keyword=True)
    return Module("layers.LayerNormalization", (axis, *_tail(op)))


def group_norm(op: GroupNorm, x: Shape) -> Module:
    groups = field_arg(op, "groups", default=32)
    return Module("GroupNormalization", (groups, *_tail(op)), helper=True)


def instance_norm(op: InstanceNorm, x: Shape) -> Module:
    # A group for each channel.
    groups = Arg("groups", -1, keyword=True)
    return Module("GroupNormalization", (groups, *_tail(op)), helper=True)


def lrn(op: LRN, x: Shape) -> Module:
    size = field_arg(op, "size", keyword=False)
    tail = (
        field_arg(op, "alpha", default=1e-4),
        field_arg(op, "beta", default=0.75),
        field_arg(op, "k", default=1.0),
    )
    return Module("LocalResponseNormalization", (size, *tail), helper=True)


def _tail(op: BatchNorm | LayerNorm | GroupNorm | InstanceNorm) -> tuple[Arg, ...]:
    learnt = (Arg(name, op.affine, "affine", True, keyword=True) for name in ("center", "scale"))
    return field_arg(op, "eps", "epsilon", 1e-3), *learnt


LOWERED = {
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "lrn": lrn,
}
