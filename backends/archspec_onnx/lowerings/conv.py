"""Convolutions and transposed convolutions."""

from __future__ import annotations

from typing import Any

from archspec.ops.conv import Conv, ConvTranspose
from archspec_onnx.lowering import LoweringContext, flat_pads, unless_default


def conv(ctx: LoweringContext, op: Conv) -> str:
    return ctx.add("Conv", ctx.x, *ctx.tensors("weight", "bias"), **_window(ctx, op))


def conv_transpose(ctx: LoweringContext, op: ConvTranspose) -> str:
    """Lower a transposed convolution.

    ONNX Runtime takes an output padding below the stride. A larger one is the rest, with a row of
    zeros after the input for each whole stride.
    """
    _, stride, _ = op.axes(ctx.shape)
    extra = op.added_rows(ctx.shape)
    zero_rows = [e // s for e, s in zip(extra, stride, strict=True)]
    rest = unless_default([e % s for e, s in zip(extra, stride, strict=True)], 0)
    value = ctx.padded([(0, count) for count in zero_rows], 0.0) if any(zero_rows) else ctx.x
    tensors = ctx.tensors("weight", "bias")
    return ctx.add("ConvTranspose", value, *tensors, **_window(ctx, op), output_padding=rest)


def _window(ctx: LoweringContext, op: Conv | ConvTranspose) -> dict[str, Any]:
    kernel, stride, dilation = op.axes(ctx.shape)
    return {
        "kernel_shape": list(kernel),
        "strides": unless_default(stride, 1),
        "pads": flat_pads(op.pads(ctx.shape)),
        "dilations": unless_default(dilation, 1),
        "group": op.groups if op.groups > 1 else None,
    }


LOWERED = {"conv": conv, "conv_transpose": conv_transpose}
