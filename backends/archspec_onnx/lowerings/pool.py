"""Pools. ONNX's own where its pads can say what is meant, after a Pad where they cannot."""

from __future__ import annotations

import math
from typing import Any

from archspec.ir.op import Op
from archspec.ir.types import Pads
from archspec.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from archspec.ops.window import extent
from archspec_onnx.lowering import Site, spread, unless


def max_pool(site: Site, op: MaxPool) -> str:
    kernel, _, dilation = op.axes(site.shape)
    pads = reached(site, op)
    value = site.x
    if any(max(pair) >= k for pair, k in zip(pads, kernel, strict=True)):
        # A dilated window may reach further out than ONNX Runtime takes as pads.
        value, pads = site.bordered(pads, -math.inf), ((0, 0),) * site.rank
    return _pool(site, "MaxPool", op, value, pads, dilations=unless(dilation, 1))


def avg_pool(site: Site, op: AvgPool) -> str:
    """Whether pads count is said for all of them at once: where only some do, those are zeros of the input before."""
    pads = reached(site, op)
    counted = tuple(
        (b, min(a, r)) for (b, a), (_, r) in zip(op.pads(site.shape), pads, strict=True)
    )
    if not op.count_include_pad or counted == pads:
        include = 1 if op.count_include_pad and spread(pads) else None
        return _pool(site, "AveragePool", op, site.x, pads, count_include_pad=include)
    overhang = tuple((0, r - a) for (_, r), (_, a) in zip(pads, counted, strict=True))
    return _pool(site, "AveragePool", op, site.bordered(counted, 0.0), overhang)


def reached(site: Site, op: MaxPool | AvgPool) -> Pads:
    """Pads as far as the last window reaches: over the end with `rounding: ceil`, or short of what the spec states.

    With them, rounding down gives the size, and no engine's idea of rounding up matters.
    """
    rows = zip(
        site.shape[1:], site.node.shape[1:], op.pads(site.shape), *op.axes(site.shape), strict=True
    )
    return tuple((p[0], max((o - 1) * s + extent(k, d) - n - p[0], 0)) for n, o, p, k, s, d in rows)


def _pool(
    site: Site, operator: str, op: MaxPool | AvgPool, value: str, pads: Pads, **options: Any
) -> str:
    kernel, stride, _ = op.axes(site.shape)
    window: dict[str, Any] = {
        "kernel_shape": list(kernel),
        "strides": unless(stride, 1),
        "pads": spread(pads),
    }
    return site.add(operator, value, **window, **options)


def global_avg_pool(site: Site, op: Op) -> str:
    return site.add("GlobalAveragePool", site.x)


def global_max_pool(site: Site, op: Op) -> str:
    return site.add("GlobalMaxPool", site.x)


def adaptive_avg_pool(site: Site, op: AdaptiveAvgPool) -> str:
    return _adaptive(site, "AveragePool", "ReduceMean")


def adaptive_max_pool(site: Site, op: AdaptiveMaxPool) -> str:
    return _adaptive(site, "MaxPool", "ReduceMax")


def _adaptive(site: Site, pool: str, reduce: str) -> str:
    """Bins of one size are windows; others are gathered and reduced, one axis after the other."""
    sizes = list(zip(site.shape[1:], site.node.shape[1:], strict=True))
    if all(n % m == 0 for n, m in sizes):
        kernel = [n // m for n, m in sizes]
        return site.add(pool, site.x, kernel_shape=kernel, strides=unless(kernel, 1))
    value = site.x
    left = [axis for axis, (n, m) in enumerate(sizes, 2) if n != m]
    for axis in left:
        value = _bins(
            site,
            value,
            reduce,
            axis,
            *sizes[axis - 2],
            part="" if axis == left[-1] else f"axis{axis}",
        )
    return value


def _bins(site: Site, value: str, reduce: str, axis: int, n: int, m: int, part: str) -> str:
    """The bins of one axis as an axis of their own, a narrower one filled up with its last cell, and reduced."""
    bins = [range(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
    widest = max(map(len, bins))
    cells = [[min(b.start + k, b.stop - 1) for k in range(widest)] for b in bins]
    name = part or "last"
    value = site.add(
        "Gather", value, site.whole(f"{name}.cells", cells), part=f"{name}.bins", axis=axis
    )
    if reduce == "ReduceMean" and any(len(b) < widest for b in bins):
        shares = [[1 / len(b) if k < len(b) else 0.0 for k in range(widest)] for b in bins]
        share = site.constant(
            f"{name}.share", shares, shape=(m, widest, *(1,) * (site.rank + 1 - axis))
        )
        value = site.add("Mul", value, share, part=f"{name}.shared")
        return site.reduce("ReduceSum", value, [axis + 1], part, keep=False)
    return site.reduce(reduce, value, [axis + 1], part, keep=False)


LOWERED = {
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": global_avg_pool,
    "global_max_pool": global_max_pool,
    "adaptive_avg_pool": adaptive_avg_pool,
    "adaptive_max_pool": adaptive_max_pool,
}
