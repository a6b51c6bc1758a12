"""Convolutions: Keras's own layer where it computes what is meant on every engine."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, compact, field_arg, spatial_rank
from archspec.ir.types import Shape
from archspec.ops.conv import Conv, ConvTranspose
from archspec_keras.padding import compact_pads, fit_padding, padding_arg


def conv(op: Conv, x: Shape) -> Module:
    kernel, stride, dilation = op.axes(x)
    pads, out = op.pads(x), op.shape(x)[1:]
    fitted = fit_padding(
        x[1:], pads, kernel, stride, dilation, out, prefer_same=op.padding not in (0, "valid")
    )
    spread = max(stride) > 1 and max(dilation) > 1
    if spread and fitted == "same":
        fitted = pads
    before: tuple[Module, ...] = ()
    if not isinstance(fitted, str):
        half = "half kernel" if isinstance(op.padding, str) else ""
        border = Arg("padding", compact_pads(pads), "padding", hint=half)
        before = (Module(f"layers.ZeroPadding{spatial_rank(x)}D", (border,)),)
    size = (
        Arg("kernel_size", compact(op.kernel), "kernel"),
        Arg("strides", compact(op.stride), "stride", 1, keyword=True),
        padding_arg(fitted),
        Arg("dilation_rate", compact(op.dilation), "dilation", 1, keyword=True),
    )
    bias = field_arg(op, "bias", "use_bias", True)
    if op.groups == x[0] > 1 and spatial_rank(x) < 3 and not spread and len(set(stride)) == 1:
        many = Arg("depth_multiplier", op.out // x[0], default=1, keyword=True)
        return Module(f"layers.DepthwiseConv{spatial_rank(x)}D", (*size, many, bias), before=before)
    args = (
        Arg("filters", op.out, "out", hint="out"),
        *size,
        field_arg(op, "groups", default=1),
        bias,
    )
    if spread or (op.groups > 1 and spatial_rank(x) == 3):
        return Module(f"SpreadConv{spatial_rank(x)}D", args, helper=True, before=before)
    if op.out == 1 < x[0] and spatial_rank(x) == 2 and max(kernel) > max(dilation) == 1:
        return Module("SingleConv2D", args, helper=True, before=before)
    return Module(f"layers.Conv{spatial_rank(x)}D", args, before=before)


def conv_transpose(op: ConvTranspose, x: Shape) -> Module:
    kernel, stride, dilation = op.axes(x)
    pads, out = op.pads(x), op.shape(x)[1:]
    head = (
        Arg("filters", op.out, "out", hint="out"),
        Arg("kernel_size", compact(op.kernel), "kernel"),
        Arg("strides", compact(op.stride), "stride", 1, keyword=True),
    )
    bias = field_arg(op, "bias", "use_bias", True)
    rows = list(zip(x[1:], pads, kernel, stride, out, strict=True))
    # PyTorch on a CPU cannot differentiate Keras's own of a single channel.
    single = x[0] == 1 < op.out and spatial_rank(x) == 2
    plainly = op.groups == 1 and max(dilation) == 1 and not single
    # Keras's "valid" adds rows where the window is below the stride.
    whole = all(k >= s and p[0] == 0 and m == (n - 1) * s + k for n, p, k, s, m in rows)
    if plainly and whole:
        return Module(f"layers.Conv{spatial_rank(x)}DTranspose", (*head, bias))
    if plainly and all(m == n * s and p[0] == max(k - s, 0) // 2 for n, p, k, s, m in rows):
        return Module(
            f"layers.Conv{spatial_rank(x)}DTranspose",
            (*head, Arg("padding", "same", keyword=True), bias),
        )
    around = (
        Arg("sides", pads, keyword=True),
        Arg("extra", compact(op.added_rows(x)), "output_padding", 0, keyword=True),
        Arg("dilation_rate", compact(op.dilation), "dilation", 1, keyword=True),
        field_arg(op, "groups", default=1),
    )
    return Module(f"CroppedConv{spatial_rank(x)}DTranspose", (*head, *around, bias), helper=True)


LOWERED = {"conv": conv, "conv_transpose": conv_transpose}
