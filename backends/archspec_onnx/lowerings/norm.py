"""Normalisations."""

from __future__ import annotations

from typing import Any

from archspec.ops.norm import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from archspec_onnx.lowering import LoweringContext


def batch_norm(ctx: LoweringContext, op: BatchNorm) -> str:
    """Compute batch statistics with nodes in train mode, as inference engines lack ONNX's own."""
    learnt = _learnt(ctx, ctx.shape[:1])
    if not ctx.train:
        running = ctx.tensors("running_mean", "running_var")
        return ctx.add("BatchNormalization", ctx.x, *learnt, *running, epsilon=op.eps)
    axes = (0, *range(2, 2 + ctx.rank))
    mean = ctx.reduce("ReduceMean", ctx.x, axes, "batch_mean")
    centred = ctx.add("Sub", ctx.x, mean, part="centred")
    square = ctx.add("Mul", centred, centred, part="square")
    var = ctx.reduce("ReduceMean", square, axes, "batch_var", keep=False)
    mean = ctx.add("Reshape", mean, ctx.int64_constant("mean.shape", ctx.shape[:1]), part="mean")
    value = ctx.add("BatchNormalization", ctx.x, *learnt, mean, var, epsilon=op.eps)
    _move(ctx, op, "running_mean", mean)
    _move(ctx, op, "running_var", _unbiased(ctx, var))
    return value


def _unbiased(ctx: LoweringContext, var: str) -> str:
    """Return the variance times n / (n - 1), for n values per channel in the batch."""
    shape = ctx.add("Shape", ctx.x, part="sizes")
    axes = ctx.int64_constant("counted.axes", (0, *range(2, 2 + ctx.rank)))
    counted = ctx.add("Gather", shape, axes, part="counted", axis=0)
    whole = ctx.add("ReduceProd", counted, part="product", keepdims=0)
    count = ctx.add("Cast", whole, part="count", to=1)
    rest = ctx.add("Sub", count, ctx.constant("one", 1.0), part="count_but_one")
    factor = ctx.add("Div", count, rest, part="factor")
    return ctx.add("Mul", var, factor, part="unbiased_var")


def _move(ctx: LoweringContext, op: BatchNorm, role: str, batch: str) -> None:
    """Add the running statistic after this batch, an output of the train graph."""
    previous = ctx.add(
        "Mul",
        ctx.tensor(role),
        ctx.constant(f"{role}.rest", 1 - op.momentum),
        part=f"{role}.kept",
    )
    share = ctx.add(
        "Mul", batch, ctx.constant(f"{role}.momentum", op.momentum), part=f"{role}.share"
    )
    ctx.running_stats[f"{ctx.node.path}.{role}"] = ctx.add(
        "Add", previous, share, part=f"{role}.updated"
    )


def layer_norm(ctx: LoweringContext, op: LayerNorm) -> str:
    """Transpose to normalise the channels alone: ONNX normalises the last axes."""
    if op.axes == "all" or ctx.rank == 0:
        learnt = ctx.tensors("weight", "bias") or (ctx.filled("ones", ctx.shape, 1.0),)
        return ctx.add("LayerNormalization", ctx.x, *learnt, axis=1, epsilon=op.eps)
    learnt = ctx.tensors("weight", "bias") or (ctx.filled("ones", ctx.shape[:1], 1.0),)
    rank = ctx.rank + 2
    last = ctx.add("Transpose", ctx.x, part="channels_last", perm=[0, *range(2, rank), 1])
    normal = ctx.add("LayerNormalization", last, *learnt, part="normal", axis=-1, epsilon=op.eps)
    return ctx.add("Transpose", normal, perm=[0, rank - 1, *range(1, rank - 1)])


def group_norm(ctx: LoweringContext, op: GroupNorm) -> str:
    """Lower to an instance norm of the groups.

    ONNX's own, since opset 21, is expanded by engines in a way that loses digits.
    """
    ones, zeros = ctx.filled("ones", (op.groups,), 1.0), ctx.filled("zeros", (op.groups,), 0.0)
    groups = ctx.reshape(ctx.x, (op.groups, -1), "groups")
    value = ctx.add("InstanceNormalization", groups, ones, zeros, part="normal", epsilon=op.eps)
    if not op.affine:
        return ctx.reshape(value, ctx.shape)
    value = ctx.reshape(value, ctx.shape, "whole")
    scaled = ctx.add("Mul", value, ctx.per_channel(ctx.tensor("weight"), "scale"), part="scaled")
    return ctx.add("Add", scaled, ctx.per_channel(ctx.tensor("bias"), "shift"))


def instance_norm(ctx: LoweringContext, op: InstanceNorm) -> str:
    return ctx.add("InstanceNormalization", ctx.x, *_learnt(ctx, ctx.shape[:1]), epsilon=op.eps)


def lrn(ctx: LoweringContext, op: LRN) -> str:
    """Write out the definition.

    ONNX Runtime's own LRN is slower, takes only images, and loses digits in a running sum. A
    window's mean counts the zeros past the first and last channel, as alpha / size does.
    """
    if not (op.alpha and op.beta):
        return ctx.add("Div", ctx.x, ctx.constant("divisor", op.k**op.beta))
    square = ctx.add("Mul", ctx.x, ctx.x, part="square")
    plane = ctx.reshape(square, (1, ctx.shape[0], -1), "plane")
    half = op.size // 2
    window: dict[str, Any] = {
        "kernel_shape": [op.size, 1],
        "pads": [half, 0, half, 0],
        "count_include_pad": 1,
    }
    mean = ctx.reshape(ctx.add("AveragePool", plane, part="window", **window), ctx.shape, "mean")
    weighted = ctx.add("Mul", mean, ctx.constant("alpha", op.alpha), part="weighted")
    raised = ctx.add("Add", weighted, ctx.constant("k", op.k), part="raised")
    return ctx.add(
        "Div", ctx.x, ctx.add("Pow", raised, ctx.constant("beta", op.beta), part="divisor")
    )


def _learnt(ctx: LoweringContext, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of scale and shift: its tensors, or constants 1 and 0."""
    learnt = ctx.tensors("weight", "bias")
    return learnt or (ctx.filled("ones", shape, 1.0), ctx.filled("zeros", shape, 0.0))


LOWERED = {
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "lrn": lrn,
}
