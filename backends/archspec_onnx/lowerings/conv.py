"""Convolutions and transposed convolutions."""

from __future__ import annotations

from typing import Any

from archspec.ops.conv import Conv, ConvTranspose
from archspec.ops.window import per_axis
from archspec_onnx.lowering import Site, spread, unless


def conv(site: Site, op: Conv) -> str:
    return site.add("Conv", site.x, *site.tensors("weight", "bias"), **_window(site, op))


def conv_transpose(site: Site, op: ConvTranspose) -> str:
    extra = unless(per_axis(op.output_padding, site.rank, "output_padding"), 0)
    window = _window(site, op)
    return site.add("ConvTranspose", site.x, *site.tensors("weight", "bias"), **window, output_padding=extra)


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
