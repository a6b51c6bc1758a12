"""Layers that move values. Flatten and reshape mean the order C,H,W: channels are moved first."""

from __future__ import annotations

import math

from archspec.codegen.lowering import Arg, Module, compact, field_arg, no_args, spatial_rank
from archspec.ir.types import Shape
from archspec.ops.shape import ChannelShuffle, Crop, Flatten, Pad, Reshape, Resize
from archspec_keras.padding import compact_pads


def flatten(op: Flatten, x: Shape) -> Module:
    return Module("layers.Flatten", before=_channels_first(x))


def reshape(op: Reshape, x: Shape) -> Module:
    to = op.shape(x)
    first, moved = _channels_first(x), Module("layers.Reshape", (Arg("target_shape", to, "to"),))
    if not _matters(to):
        last = Module("layers.Reshape", (Arg("target_shape", (*to[1:], to[0]), "to"),))
        return Module(last.target, last.args, before=first)
    back = (Arg("dims", (*range(2, len(to) + 1), 1)),)
    return Module("layers.Permute", back, before=(*first, moved))


def channel_shuffle(op: ChannelShuffle, x: Shape) -> Module:
    return Module("ChannelShuffle", (field_arg(op, "groups", keyword=False),), helper=True)


def pad(op: Pad, x: Shape) -> Module:
    if op.mode == "constant" and op.value == 0:
        return Module(
            f"layers.ZeroPadding{spatial_rank(x)}D",
            (Arg("padding", compact_pads(op.pads(x)), "padding"),),
        )
    sides = Arg("sides", op.pads(x), "padding")
    mode = Arg(
        "mode", "edge" if op.mode == "replicate" else op.mode, default="constant", keyword=True
    )
    return Module("Border", (sides, mode, field_arg(op, "value", default=0.0)), helper=True)


def crop(op: Crop, x: Shape) -> Module:
    return Module(
        f"layers.Cropping{spatial_rank(x)}D",
        (Arg("cropping", compact_pads(op.margins(x)), "sides"),),
    )


def resize(op: Resize, x: Shape) -> Module:
    out = op.shape(x)[1:]
    if op.mode == "nearest" and all(m % n == 0 for n, m in zip(x[1:], out, strict=True)):
        # By a whole factor both conventions repeat each position.
        factor = tuple(m // n for n, m in zip(x[1:], out, strict=True))
        return Module(
            f"layers.UpSampling{spatial_rank(x)}D", (Arg("size", compact(factor), "scale"),)
        )
    name = "NearestResize" if op.mode == "nearest" else "LinearResize"
    where = "align_corners" if op.mode == "linear" else "half_pixel"
    chosen = Arg(where, op.coordinates == where, default=False, keyword=True)
    return Module(name, (Arg("size", out), chosen), helper=True)


def _matters(x: Shape) -> bool:
    """Return whether the order of channels and positions makes a difference."""
    return len(x) > 1 and x[0] > 1 and math.prod(x[1:]) > 1


def _channels_first(x: Shape) -> tuple[Module, ...]:
    return (
        (Module("layers.Permute", (Arg("dims", (len(x), *range(1, len(x)))),)),)
        if _matters(x)
        else ()
    )


LOWERED = {
    "identity": no_args("layers.Identity"),
    "flatten": flatten,
    "reshape": reshape,
    "channel_shuffle": channel_shuffle,
    "pad": pad,
    "crop": crop,
    "resize": resize,
}
