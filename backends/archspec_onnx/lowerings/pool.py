"""Pools: ONNX's own, after a Pad if its attributes cannot express the padding."""

from __future__ import annotations

import math
from typing import Any

from archspec.ir.op import Op
from archspec.ir.types import Pads
from archspec.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from archspec.ops.window import extent
from archspec_onnx.lowering import LoweringContext, flat_pads, unless_default


def max_pool(ctx: LoweringContext, op: MaxPool) -> str:
    kernel, _, dilation = op.axes(ctx.shape)
    pads = reached_pads(ctx, op)
    value = ctx.x
    if any(max(pair) >= k for pair, k in zip(pads, kernel, strict=True)):
        # A dilated window may reach further out than ONNX Runtime takes as pads.
        value, pads = ctx.padded(pads, -math.inf), ((0, 0),) * ctx.rank
    return _pool(ctx, "MaxPool", op, value, pads, dilations=unless_default(dilation, 1))


def avg_pool(ctx: LoweringContext, op: AvgPool) -> str:
    """Lower an average pool.

    ONNX counts either all padding or none. If a window reaches past counted padding, that padding
    is added to the input as zeros, and the rest is an attribute that does not count.
    """
    pads = reached_pads(ctx, op)
    counted = tuple((b, min(a, r)) for (b, a), (_, r) in zip(op.pads(ctx.shape), pads, strict=True))
    if not op.count_include_pad or counted == pads:
        include = 1 if op.count_include_pad and flat_pads(pads) else None
        return _pool(ctx, "AveragePool", op, ctx.x, pads, count_include_pad=include)
    overhang = tuple((0, r - a) for (_, r), (_, a) in zip(pads, counted, strict=True))
    return _pool(ctx, "AveragePool", op, ctx.padded(counted, 0.0), overhang)


def reached_pads(ctx: LoweringContext, op: MaxPool | AvgPool) -> Pads:
    """Return the padding up to the last window's end.

    It is more than the spec's with `rounding: ceil`, and less if the last window ends earlier. With
    it, rounding down gives the output size, so engines' conventions for rounding up do not matter.
    """
    rows = zip(
        ctx.shape[1:], ctx.node.shape[1:], op.pads(ctx.shape), *op.axes(ctx.shape), strict=True
    )
    return tuple((p[0], max((o - 1) * s + extent(k, d) - n - p[0], 0)) for n, o, p, k, s, d in rows)


def _pool(
    ctx: LoweringContext,
    operator: str,
    op: MaxPool | AvgPool,
    value: str,
    pads: Pads,
    **options: Any,
) -> str:
    kernel, stride, _ = op.axes(ctx.shape)
    window: dict[str, Any] = {
        "kernel_shape": list(kernel),
        "strides": unless_default(stride, 1),
        "pads": flat_pads(pads),
    }
    return ctx.add(operator, value, **window, **options)


def global_avg_pool(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("GlobalAveragePool", ctx.x)


def global_max_pool(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("GlobalMaxPool", ctx.x)


def adaptive_avg_pool(ctx: LoweringContext, op: AdaptiveAvgPool) -> str:
    return _adaptive(ctx, "AveragePool", "ReduceMean")


def adaptive_max_pool(ctx: LoweringContext, op: AdaptiveMaxPool) -> str:
    return _adaptive(ctx, "MaxPool", "ReduceMax")


def _adaptive(ctx: LoweringContext, pool: str, reduce: str) -> str:
    """Lower bins of equal size to windows; gather and reduce others, one axis at a time."""
    sizes = list(zip(ctx.shape[1:], ctx.node.shape[1:], strict=True))
    if all(n % m == 0 for n, m in sizes):
        kernel = [n // m for n, m in sizes]
        return ctx.add(pool, ctx.x, kernel_shape=kernel, strides=unless_default(kernel, 1))
    value = ctx.x
    left = [axis for axis, (n, m) in enumerate(sizes, 2) if n != m]
    for axis in left:
        part = "" if axis == left[-1] else f"axis{axis}"
        value = _bins(ctx, value, reduce, axis, *sizes[axis - 2], part=part)
    return value


def _bins(
    ctx: LoweringContext, value: str, reduce: str, axis: int, n: int, m: int, part: str
) -> str:
    """Gather one axis's bins into an axis of their own, and reduce it.

    A narrow bin repeats its last cell, with weight 0 in a mean.
    """
    bins = [range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
    widest = max(map(len, bins))
    cells = [[min(b.start + k, b.stop - 1) for k in range(widest)] for b in bins]
    name = part or "last"
    value = ctx.add(
        "Gather", value, ctx.int64_constant(f"{name}.cells", cells), part=f"{name}.bins", axis=axis
    )
    if reduce == "ReduceMean" and any(len(b) < widest for b in bins):
        shares = [[1 / len(b) if k < len(b) else 0.0 for k in range(widest)] for b in bins]
        share = ctx.constant(
            f"{name}.share", shares, shape=(m, widest, *(1,) * (ctx.rank + 1 - axis))
        )
        value = ctx.add("Mul", value, share, part=f"{name}.shared")
        return ctx.reduce("ReduceSum", value, [axis + 1], part, keep=False)
    return ctx.reduce(reduce, value, [axis + 1], part, keep=False)


LOWERED = {
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": global_avg_pool,
    "global_max_pool": global_max_pool,
    "adaptive_avg_pool": adaptive_avg_pool,
    "adaptive_max_pool": adaptive_max_pool,
}
