"""Normalisations."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, field_arg, spatial_rank
from archspec.ir.op import Op
from archspec.ir.types import Shape
from archspec.ops.norm import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm


def batch_norm(op: BatchNorm, x: Shape) -> Module:
    channels = Arg("num_features", x[0], hint="in")
    args = (
        channels,
        _eps(op),
        field_arg(op, "momentum", default=0.1),
        field_arg(op, "affine", default=True),
    )
    return Module(f"nn.BatchNorm{max(spatial_rank(x), 1)}d", args)


def layer_norm(op: LayerNorm, x: Shape) -> Module:
    tail = (_eps(op), field_arg(op, "affine", "elementwise_affine", True))
    if len(x) == 1 or op.axes == "channels":
        sizes = (Arg("normalized_shape", x[0], hint="in"), *tail)
        return (
            Module("nn.LayerNorm", sizes)
            if len(x) == 1
            else Module("ChannelNorm", sizes, helper=True)
        )
    return Module("nn.LayerNorm", (Arg("normalized_shape", x, hint="in"), *tail))


def group_norm(op: GroupNorm, x: Shape) -> Module:
    sizes = (
        field_arg(op, "groups", "num_groups", keyword=False),
        Arg("num_channels", x[0], hint="in"),
    )
    return Module("nn.GroupNorm", (*sizes, _eps(op), field_arg(op, "affine", default=True)))


def instance_norm(op: InstanceNorm, x: Shape) -> Module:
    channels = Arg("num_features", x[0], hint="in")
    return Module(
        f"nn.InstanceNorm{spatial_rank(x)}d",
        (channels, _eps(op), field_arg(op, "affine", default=False)),
    )


def lrn(op: LRN, x: Shape) -> Module:
    size = field_arg(op, "size", keyword=False)
    tail = (
        field_arg(op, "alpha", default=1e-4),
        field_arg(op, "beta", default=0.75),
        field_arg(op, "k", default=1.0),
    )
    return Module("LocalResponseNorm", (size, *tail), helper=True)


def _eps(op: Op) -> Arg:
    return field_arg(op, "eps", default=1e-5)


LOWERED = {
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "lrn": lrn,
}
