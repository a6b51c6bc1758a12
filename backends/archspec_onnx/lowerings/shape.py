"""Layers that move values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archspec.ir.op import Op
from archspec.ops.shape import ChannelShuffle, Crop, Pad, Reshape, Resize
from archspec_onnx.lowering import LoweringContext, flat_pads

_MODES = {"constant": None, "reflect": "reflect", "replicate": "edge"}


def identity(ctx: LoweringContext, op: Op) -> str:
    return ctx.x


def flatten(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("Flatten", ctx.x, axis=1) if ctx.rank else ctx.x


def reshape(ctx: LoweringContext, op: Reshape) -> str:
    return ctx.reshape(ctx.x, ctx.node.shape)


def channel_shuffle(ctx: LoweringContext, op: ChannelShuffle) -> str:
    channels, *size = ctx.shape
    groups = ctx.reshape(ctx.x, (op.groups, channels // op.groups, *size), "groups")
    mixed = ctx.add("Transpose", groups, part="mixed", perm=[0, 2, 1, *range(3, 3 + ctx.rank)])
    return ctx.reshape(mixed, ctx.shape)


def pad(ctx: LoweringContext, op: Pad) -> str:
    sides = flat_pads(((0, 0), (0, 0), *op.pads(ctx.shape)))
    if sides is None:
        return ctx.x
    inputs = [ctx.x, ctx.int64_constant("pads", sides)]
    if op.mode == "constant" and op.value:
        inputs.append(ctx.constant("value", op.value))
    return ctx.add("Pad", *inputs, mode=_MODES[op.mode])


def crop(ctx: LoweringContext, op: Crop) -> str:
    margins = op.margins(ctx.shape)
    if flat_pads(margins) is None:
        return ctx.x
    starts = ctx.int64_constant("starts", [before for before, _ in margins])
    ends = ctx.int64_constant(
        "ends", [n - after for n, (_, after) in zip(ctx.shape[1:], margins, strict=True)]
    )
    return ctx.add("Slice", ctx.x, starts, ends, ctx.int64_constant("axes", range(2, 2 + ctx.rank)))


def resize(ctx: LoweringContext, op: Resize) -> str:
    if op.mode == "linear":
        half = op.coordinates == "half_pixel"
        return _resize(
            ctx,
            {"mode": "linear", "coordinate_transformation_mode": None if half else op.coordinates},
        )
    if any(m % n for n, m in zip(ctx.shape[1:], ctx.node.shape[1:], strict=True)):
        return _nearest(ctx, op)
    if op.coordinates == "half_pixel":
        return _resize(ctx, {"nearest_mode": "round_prefer_ceil"})
    return _resize(ctx, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"})


def _resize(ctx: LoweringContext, options: Mapping[str, str | None]) -> str:
    """Resize by sizes without the batch, or before opset 18 by a factor for each axis."""
    size = ctx.node.shape[1:]
    if ctx.opset >= 18:
        axes = list(range(2, 2 + ctx.rank))
        return ctx.add(
            "Resize",
            ctx.x,
            "",
            "",
            ctx.int64_constant("sizes", size),
            axes=axes,
            **dict[str, Any](options),
        )
    factors = [1.0, 1.0, *(m / n for n, m in zip(ctx.shape[1:], size, strict=True))]
    return ctx.add("Resize", ctx.x, "", ctx.constant("factors", factors), **dict[str, Any](options))


def _nearest(ctx: LoweringContext, op: Resize) -> str:
    """Gather positions computed in integers: an engine's rounded factor may pick a neighbour."""
    value = ctx.x
    sizes = zip(ctx.shape[1:], ctx.node.shape[1:], strict=True)
    rows = [(axis, n, m) for axis, (n, m) in enumerate(sizes, 2) if n != m]
    for axis, n, m in rows:
        half = op.coordinates == "half_pixel"
        positions = [(2 * i + 1) * n // (2 * m) if half else i * n // m for i in range(m)]
        part = "" if axis == rows[-1][0] else f"axis{axis}"
        value = ctx.add(
            "Gather",
            value,
            ctx.int64_constant(f"{part or 'last'}.positions", positions),
            part=part,
            axis=axis,
        )
    return value


LOWERED = {
    "identity": identity,
    "flatten": flatten,
    "reshape": reshape,
    "channel_shuffle": channel_shuffle,
    "pad": pad,
    "crop": crop,
    "resize": resize,
}
