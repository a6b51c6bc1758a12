"""Convolutions and transposed convolutions."""

from __future__ import annotations

from typing import Any

from archspec.ops.conv import Conv, ConvTranspose
from archspec.ops.window import per_axis
from archspec_onnx.lowering import Site, spread, unless


def conv(site: Site, op: Conv) -> str:
    return site.add("Conv", site.x, *site.tensors("weight", "bias"), **_window(site, op))


def conv_transpose(site: Site, op: ConvTranspose) -> str:
    """ONNX Runtime adds fewer rows than a stride: as many strides more are rows of zeros after the input."""
    _, stride, _ = op.axes(site.shape)
    extra = per_axis(op.output_padding, site.rank, "output_padding")
    rows = [divmod(e, s) for e, s in zip(extra, stride, strict=True)]
    value = (
        site.bordered([(0, more) for more, _ in rows], 0.0)
        if any(more for more, _ in rows)
        else site.x
    )
    rest = unless([rest for _, rest in rows], 0)
    tensors = site.tensors("weight", "bias")
    return site.add("ConvTranspose", value, *tensors, **_window(site, op), output_padding=rest)


def _window(site: Site, op: Conv | ConvTranspose) -> dict[str, Any]:
    kernel, stride, dilation = op.axes(site.shape)
    return {
        "kernel_shape": list(kernel),
        "strides": unless(stride, 1),
        "pads": spread(op.pads(site.shape)),
        "dilations": unless(dilation, 1),
        "group": op.groups if op.groups > 1 else None,
    }


LOWERED = {"conv": conv, "conv_transpose": conv_transpose}
