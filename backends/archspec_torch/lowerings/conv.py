"""Convolutions and transposed convolutions."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, compact, field_arg, spatial_rank
from archspec.ir.types import Shape
from archspec.ops.conv import Conv, ConvTranspose
from archspec_torch.padding import last_axis_first, padding_arg, symmetric_padding


def conv(op: Conv, x: Shape) -> Module:
    pads = op.pads(x)
    padding = symmetric_padding(pads)
    head, tail = _around(op, x)
    if padding is None:
        sides = Arg("sides", last_axis_first(pads), keyword=True)
        return Module(f"PaddedConv{spatial_rank(x)}d", (*head, sides, *tail), helper=True)
    return Module(f"nn.Conv{spatial_rank(x)}d", (*head, padding_arg(op.padding, padding), *tail))


def conv_transpose(op: ConvTranspose, x: Shape) -> Module:
    pads = op.pads(x)
    padding = symmetric_padding(pads)
    head, tail = _around(op, x)
    rows = compact(op.added_rows(x))
    extra = Arg("output_padding", rows, "output_padding", 0, keyword=True)
    if padding is None:
        sides = Arg("sides", last_axis_first(pads), keyword=True)
        return Module(
            f"CroppedConvTranspose{spatial_rank(x)}d", (*head, sides, extra, *tail), helper=True
        )
    inner = padding_arg(op.padding, padding)
    return Module(f"nn.ConvTranspose{spatial_rank(x)}d", (*head, inner, extra, *tail))


def _around(op: Conv | ConvTranspose, x: Shape) -> tuple[tuple[Arg, ...], tuple[Arg, ...]]:
    """Return the arguments before and after the padding."""
    head = (
        Arg("in_channels", x[0], hint="in"),
        Arg("out_channels", op.out, "out", hint="out"),
        Arg("kernel_size", compact(op.kernel), "kernel"),
        Arg("stride", compact(op.stride), "stride", 1, keyword=True),
    )
    tail = (
        Arg("dilation", compact(op.dilation), "dilation", 1, keyword=True),
        field_arg(op, "groups", default=1),
        field_arg(op, "bias", default=True),
    )
    return head, tail


LOWERED = {"conv": conv, "conv_transpose": conv_transpose}
