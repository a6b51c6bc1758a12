"""Layers that move values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archspec.ir.op import Op
from archspec.ops.shape import ChannelShuffle, Crop, Pad, Reshape, Resize
from archspec_onnx.lowering import Site, spread

_MODES = {"constant": None, "reflect": "reflect", "replicate": "edge"}


def identity(site: Site, op: Op) -> str:
    return site.x


def flatten(site: Site, op: Op) -> str:
    return site.add("Flatten", site.x, axis=1) if site.rank else site.x


def reshape(site: Site, op: Reshape) -> str:
    return site.reshape(site.x, site.node.shape)


def channel_shuffle(site: Site, op: ChannelShuffle) -> str:
    channels, *size = site.shape
    groups = site.reshape(site.x, (op.groups, channels // op.groups, *size), "groups")
    mixed = site.add("Transpose", groups, part="mixed", perm=[0, 2, 1, *range(3, 3 + site.rank)])
    return site.reshape(mixed, site.shape)


def pad(site: Site, op: Pad) -> str:
    sides = spread(((0, 0), (0, 0), *op.pads(site.shape)))
    if sides is None:
        return site.x
    inputs = [site.x, site.whole("pads", sides)]
    if op.mode == "constant" and op.value:
        inputs.append(site.constant("value", op.value))
    return site.add("Pad", *inputs, mode=_MODES[op.mode])


def crop(site: Site, op: Crop) -> str:
    margins = op.margins(site.shape)
    if spread(margins) is None:
        return site.x
    starts = site.whole("starts", [before for before, _ in margins])
    ends = site.whole(
        "ends", [n - after for n, (_, after) in zip(site.shape[1:], margins, strict=True)]
    )
    return site.add("Slice", site.x, starts, ends, site.whole("axes", range(2, 2 + site.rank)))


def resize(site: Site, op: Resize) -> str:
    if op.mode == "linear":
        half = op.coordinates == "half_pixel"
        return _resize(
            site,
            {"mode": "linear", "coordinate_transformation_mode": None if half else op.coordinates},
        )
    if any(m % n for n, m in zip(site.shape[1:], site.node.shape[1:], strict=True)):
        return _nearest(site, op)
    if op.coordinates == "half_pixel":
        return _resize(site, {"nearest_mode": "round_prefer_ceil"})
    return _resize(site, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"})


def _resize(site: Site, options: Mapping[str, str | None]) -> str:
    """The batch is left out of the sizes where the opset allows; older ones state a factor for each axis."""
    size = site.node.shape[1:]
    if site.opset >= 18:
        axes = list(range(2, 2 + site.rank))
        return site.add(
            "Resize",
            site.x,
            "",
            "",
            site.whole("sizes", size),
            axes=axes,
            **dict[str, Any](options),
        )
    factors = [1.0, 1.0, *(m / n for n, m in zip(site.shape[1:], size, strict=True))]
    return site.add(
        "Resize", site.x, "", site.constant("factors", factors), **dict[str, Any](options)
    )


def _nearest(site: Site, op: Resize) -> str:
    """By positions counted here in whole numbers: an engine's rounded factor may take the neighbour of one."""
    value = site.x
    sizes = zip(site.shape[1:], site.node.shape[1:], strict=True)
    rows = [(axis, n, m) for axis, (n, m) in enumerate(sizes, 2) if n != m]
    for axis, n, m in rows:
        half = op.coordinates == "half_pixel"
        positions = [(2 * i + 1) * n // (2 * m) if half else i * n // m for i in range(m)]
        part = "" if axis == rows[-1][0] else f"axis{axis}"
        value = site.add(
            "Gather",
            value,
            site.whole(f"{part or 'last'}.positions", positions),
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
