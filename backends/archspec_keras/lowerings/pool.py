"""Pools: Keras's own layer where its padding can say what is meant, else a helper."""

from __future__ import annotations

import math

from archspec.codegen.lowering import Arg, Module, compact, spatial_rank
from archspec.ir.op import Op
from archspec.ir.types import Pads, Shape
from archspec.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, MaxPool
from archspec_keras.padding import compact_pads, fit_padding, padding_arg


def max_pool(op: MaxPool, x: Shape) -> Module:
    kernel, stride, dilation = op.axes(x)
    fitted = fit_padding(x[1:], op.pads(x), kernel, stride, dilation, op.shape(x)[1:])
    if spatial_rank(x) == 3 or max(dilation) > 1:
        sides = _sides(op, x)
        spread = Arg("dilation_rate", compact(op.dilation), "dilation", 1, keyword=True)
        return Module("SlidingMax", (*_window(op), sides, spread), helper=True)
    if isinstance(fitted, str):
        return Module(f"layers.MaxPooling{spatial_rank(x)}D", (*_window(op), padding_arg(fitted)))
    return Module(
        f"PaddedMaxPooling{spatial_rank(x)}D",
        (*_window(op), Arg("sides", fitted, keyword=True)),
        helper=True,
    )


def avg_pool(op: AvgPool, x: Shape) -> Module:
    pads, out = op.pads(x), op.shape(x)[1:]
    fitted = fit_padding(x[1:], pads, *op.axes(x), out)
    if spatial_rank(x) < 3:
        layer = f"layers.AveragePooling{spatial_rank(x)}D"
        if fitted == "valid" or (fitted == "same" and not op.count_include_pad):
            return Module(layer, (*_window(op), padding_arg(fitted)))
        reached = _reached(op, x)
        within = all(over <= after for (_, over), (_, after) in zip(reached, pads, strict=True))
        if op.count_include_pad and within:
            border = Module(
                f"layers.ZeroPadding{spatial_rank(x)}D",
                (Arg("padding", compact_pads(reached), "padding"),),
            )
            return Module(layer, _window(op), before=(border,))
    counted = Arg(
        "counted", pads if op.count_include_pad else ((0, 0),) * spatial_rank(x), keyword=True
    )
    return Module("SlidingMean", (*_window(op), _sides(op, x), counted), helper=True)


def global_avg_pool(op: Op, x: Shape) -> Module:
    return Module(
        f"layers.GlobalAveragePooling{spatial_rank(x)}D", (Arg("keepdims", True, keyword=True),)
    )


def global_max_pool(op: Op, x: Shape) -> Module:
    return Module(
        f"layers.GlobalMaxPooling{spatial_rank(x)}D", (Arg("keepdims", True, keyword=True),)
    )


def adaptive_avg_pool(op: AdaptiveAvgPool, x: Shape) -> Module:
    return _adaptive(op, x, "Average", "mean")


def adaptive_max_pool(op: AdaptiveMaxPool, x: Shape) -> Module:
    return _adaptive(op, x, "Max", "max")


def _adaptive(op: AdaptiveAvgPool | AdaptiveMaxPool, x: Shape, name: str, how: str) -> Module:
    size = op.shape(x)[1:]
    if math.prod(size) == 1:
        return Module(
            f"layers.Global{name}Pooling{spatial_rank(x)}D", (Arg("keepdims", True, keyword=True),)
        )
    if spatial_rank(x) < 3 and all(n % m == 0 for n, m in zip(x[1:], size, strict=True)):
        bins = tuple(n // m for n, m in zip(x[1:], size, strict=True))
        return Module(f"layers.{name}Pooling{spatial_rank(x)}D", (Arg("pool_size", compact(bins)),))
    return Module(
        "AdaptivePooling",
        (Arg("size", size), Arg("how", how, default="mean", keyword=True)),
        helper=True,
    )


def _window(op: MaxPool | AvgPool) -> tuple[Arg, Arg]:
    strides = Arg(
        "strides", compact(op.stride or op.kernel), "stride", like="pool_size", keyword=True
    )
    return Arg("pool_size", compact(op.kernel), "kernel"), strides


def _reached(op: MaxPool | AvgPool, x: Shape) -> Pads:
    """Return how far the first and the last window reach beyond each axis, as pairs."""
    rows = zip(x[1:], op.pads(x), *op.axes(x), op.shape(x)[1:], strict=True)
    return tuple(
        (p[0], max((m - 1) * s + d * (k - 1) + 1 - n - p[0], 0)) for n, p, k, s, d, m in rows
    )


def _sides(op: MaxPool | AvgPool, x: Shape) -> Arg:
    return Arg("sides", _reached(op, x), keyword=True)


LOWERED = {
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": global_avg_pool,
    "global_max_pool": global_max_pool,
    "adaptive_avg_pool": adaptive_avg_pool,
    "adaptive_max_pool": adaptive_max_pool,
}
