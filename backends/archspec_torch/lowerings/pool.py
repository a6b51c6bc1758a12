"""Pools: torch's own, or a helper that pads first if its padding cannot express the spec's."""

from __future__ import annotations

from typing import Any

from archspec.codegen.lowering import Arg, Module, compact, spatial_rank
from archspec.ir.op import Op
from archspec.ir.types import Pads, Shape
from archspec.ops import window
from archspec.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from archspec_torch.padding import last_axis_first, padding_arg, symmetric_padding


def max_pool(op: MaxPool, x: Shape) -> Module:
    dilation = Arg("dilation", compact(op.dilation), "dilation", 1, keyword=True)
    padding = _padding(op, x)
    if padding is None:
        sides = Arg("sides", last_axis_first(_with_overhang(op, x)), keyword=True)
        return Module(
            f"PaddedMaxPool{spatial_rank(x)}d", (*_window(op), sides, dilation), helper=True
        )
    inner = padding_arg(op.padding, padding)
    return Module(f"nn.MaxPool{spatial_rank(x)}d", (*_window(op), inner, dilation, _ceil(op)))


def avg_pool(op: AvgPool, x: Shape) -> Module:
    padding = _padding(op, x)
    # In 3D torch refuses a window larger than the input, even if padding makes it fit.
    refused = spatial_rank(x) == 3 and any(k > n for n, k in zip(x[1:], op.axes(x)[0], strict=True))
    if padding is None or refused:
        rows = list(zip(op.pads(x), _with_overhang(op, x), strict=True))
        pads = tuple((before, min(after, reached)) for (before, after), (_, reached) in rows)
        rest = tuple((0, max(reached - after, 0)) for (_, after), (_, reached) in rows)
        sides = Arg("sides", last_axis_first(pads), keyword=True)
        overhang = Arg("overhang", last_axis_first(rest), keyword=True)
        include = Arg(
            "count_include_pad", op.count_include_pad, "count_include_pad", True, keyword=True
        )
        return Module(
            f"PaddedAvgPool{spatial_rank(x)}d",
            (*_window(op), sides, overhang, include),
            helper=True,
        )
    inner = padding_arg(op.padding, padding)
    # Without padding nothing borders on the input, and torch's default says the same.
    include = op.count_include_pad or not padding
    counted = Arg("count_include_pad", include, "count_include_pad", True, keyword=True)
    return Module(f"nn.AvgPool{spatial_rank(x)}d", (*_window(op), inner, _ceil(op), counted))


def global_avg_pool(op: Op, x: Shape) -> Module:
    return Module(f"nn.AdaptiveAvgPool{spatial_rank(x)}d", (Arg("output_size", 1),))


def global_max_pool(op: Op, x: Shape) -> Module:
    return Module(f"nn.AdaptiveMaxPool{spatial_rank(x)}d", (Arg("output_size", 1),))


def adaptive_avg_pool(op: AdaptiveAvgPool, x: Shape) -> Module:
    return Module(
        f"nn.AdaptiveAvgPool{spatial_rank(x)}d", (Arg("output_size", compact(op.size), "size"),)
    )


def adaptive_max_pool(op: AdaptiveMaxPool, x: Shape) -> Module:
    return Module(
        f"nn.AdaptiveMaxPool{spatial_rank(x)}d", (Arg("output_size", compact(op.size), "size"),)
    )


def _window(op: MaxPool | AvgPool) -> tuple[Arg, Arg]:
    stride = Arg(
        "stride", compact(op.stride or op.kernel), "stride", like="kernel_size", keyword=True
    )
    return Arg("kernel_size", compact(op.kernel), "kernel"), stride


def _ceil(op: MaxPool | AvgPool) -> Arg:
    return Arg("ceil_mode", op.rounding == "ceil", default=False, keyword=True)


def _padding(op: MaxPool | AvgPool, x: Shape) -> Any:
    """Return the padding for torch's pools, None if sides differ or exceed half the kernel."""
    pads, (kernel, _, _) = op.pads(x), op.axes(x)
    if any(2 * p > k for (p, _), k in zip(pads, kernel, strict=True)):
        return None
    return symmetric_padding(pads)


def _with_overhang(op: MaxPool | AvgPool, x: Shape) -> Pads:
    """Return the padding; with `rounding: ceil`, up to the last window's end, before or past the
    spec's."""
    if op.rounding == "floor":
        return op.pads(x)
    rows = zip(x[1:], op.shape(x)[1:], op.pads(x), *op.axes(x), strict=True)
    return tuple((p[0], (o - 1) * s + window.extent(k, d) - n - p[0]) for n, o, p, k, s, d in rows)


LOWERED = {
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": global_avg_pool,
    "global_max_pool": global_max_pool,
    "adaptive_avg_pool": adaptive_avg_pool,
    "adaptive_max_pool": adaptive_max_pool,
}
