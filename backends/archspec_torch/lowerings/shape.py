"""Layers that move values."""

from __future__ import annotations

import math

from archspec.codegen.lowering import Arg, Module, compact, field_arg, no_args, spatial_rank
from archspec.ir.types import Shape
from archspec.ops.shape import ChannelShuffle, Crop, Pad, Reshape, Resize
from archspec_torch.padding import last_axis_first

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def reshape(op: Reshape, x: Shape) -> Module:
    to = Arg("shape", op.shape(x), "to")
    return (
        Module("nn.Unflatten", (Arg("dim", 1), to))
        if len(x) == 1
        else Module("Reshape", (to,), helper=True)
    )


def channel_shuffle(op: ChannelShuffle, x: Shape) -> Module:
    groups = (field_arg(op, "groups", keyword=False),)
    return (
        Module("nn.ChannelShuffle", groups)
        if len(x) > 1
        else Module("ShuffleFeatures", groups, helper=True)
    )


def pad(op: Pad, x: Shape) -> Module:
    sides = Arg("padding", compact(last_axis_first(op.pads(x))), "padding")
    if op.mode != "constant":
        kind = "Reflection" if op.mode == "reflect" else "Replication"
        return Module(f"nn.{kind}Pad{spatial_rank(x)}d", (sides,))
    if op.value == 0:
        return Module(f"nn.ZeroPad{spatial_rank(x)}d", (sides,))
    return Module(
        f"nn.ConstantPad{spatial_rank(x)}d", (sides, field_arg(op, "value", keyword=False))
    )


def crop(op: Crop, x: Shape) -> Module:
    return Module("Crop", (Arg("sides", last_axis_first(op.margins(x)), "sides"),), helper=True)


def resize(op: Resize, x: Shape) -> Module:
    out = op.shape(x)[1:]
    size = Arg("scale_factor", compact(op.scale), "scale", keyword=True)
    if op.scale is None:
        size = Arg("size", compact(out), "size", keyword=True)
    if op.mode == "linear":
        aligned = Arg(
            "align_corners", op.coordinates == "align_corners", default=False, keyword=True
        )
        return Module("nn.Upsample", (size, _mode(_LINEAR[spatial_rank(x)]), aligned))
    if any(not _exact(n, m) for n, m in zip(x[1:], out, strict=True)):
        where = Arg("half_pixel", op.coordinates == "half_pixel", default=False, keyword=True)
        return Module("NearestResize", (Arg("size", out), where), helper=True)
    return Module(
        "nn.Upsample",
        (size, _mode("nearest" if op.coordinates == "asymmetric" else "nearest-exact")),
    )


def _mode(mode: str) -> Arg:
    return Arg("mode", mode, keyword=True)


def _exact(n: int, m: int) -> bool:
    """Return True if n/m is exact in binary: torch rounds it to 24 bits, which may move a
    position."""
    parts = m // math.gcd(n, m)
    return parts & (parts - 1) == 0


LOWERED = {
    "identity": no_args("nn.Identity"),
    "flatten": no_args("nn.Flatten"),
    "reshape": reshape,
    "channel_shuffle": channel_shuffle,
    "pad": pad,
    "crop": crop,
    "resize": resize,
}
