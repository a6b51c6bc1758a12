"""Normalisations."""

from __future__ import annotations

from typing import Any

from archspec.ops.norm import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from archspec_onnx.lowering import Site


def batch_norm(site: Site, op: BatchNorm) -> str:
    """In train mode the same node, by the batch's statistics: engines for inference lack ONNX's own train mode."""
    learnt = _learnt(site, site.shape[:1])
    if not site.train:
        moving = site.tensors("running_mean", "running_var")
        return site.add("BatchNormalization", site.x, *learnt, *moving, epsilon=op.eps)
    axes = (0, *range(2, 2 + site.rank))
    mean = site.reduce("ReduceMean", site.x, axes, "batch_mean")
    centred = site.add("Sub", site.x, mean, part="centred")
    square = site.add("Mul", centred, centred, part="square")
    var = site.reduce("ReduceMean", square, axes, "batch_var", keep=False)
    mean = site.add("Reshape", mean, site.whole("mean.shape", site.shape[:1]), part="mean")
    value = site.add("BatchNormalization", site.x, *learnt, mean, var, epsilon=op.eps)
    _move(site, op, "running_mean", mean)
    _move(site, op, "running_var", _unbiased(site, var))
    return value


def _unbiased(site: Site, var: str) -> str:
    """The variance times n / (n - 1), n values per channel in the batch."""
    shape = site.add("Shape", site.x, part="sizes")
    axes = site.whole("counted.axes", (0, *range(2, 2 + site.rank)))
    counted = site.add("Gather", shape, axes, part="counted", axis=0)
    whole = site.add("ReduceProd", counted, part="product", keepdims=0)
    count = site.add("Cast", whole, part="count", to=1)
    rest = site.add("Sub", count, site.constant("one", 1.0), part="count_but_one")
    factor = site.add("Div", count, rest, part="factor")
    return site.add("Mul", var, factor, part="unbiased_var")


def _move(site: Site, op: BatchNorm, role: str, batch: str) -> None:
    """The moving statistic after this batch, an output of the train graph."""
    kept = site.add(
        "Mul",
        site.tensor(role),
        site.constant(f"{role}.rest", 1 - op.momentum),
        part=f"{role}.kept",
    )
    share = site.add(
        "Mul", batch, site.constant(f"{role}.momentum", op.momentum), part=f"{role}.share"
    )
    site.updates[f"{site.node.path}.{role}"] = site.add("Add", kept, share, part=f"{role}.updated")


def layer_norm(site: Site, op: LayerNorm) -> str:
    """ONNX's own normalises the last axes: for the channels alone these go last, and come back."""
    if op.axes == "all" or site.rank == 0:
        learnt = site.tensors("weight", "bias") or (site.filled("ones", site.shape, 1.0),)
        return site.add("LayerNormalization", site.x, *learnt, axis=1, epsilon=op.eps)
    learnt = site.tensors("weight", "bias") or (site.filled("ones", site.shape[:1], 1.0),)
    rank = site.rank + 2
    last = site.add("Transpose", site.x, part="channels_last", perm=[0, *range(2, rank), 1])
    normal = site.add("LayerNormalization", last, *learnt, part="normal", axis=-1, epsilon=op.eps)
    return site.add("Transpose", normal, perm=[0, rank - 1, *range(1, rank - 1)])


def group_norm(site: Site, op: GroupNorm) -> str:
    """As an instance norm of the groups: ONNX's own, since opset 21, is left to be expanded, which loses digits."""
    ones, zeros = site.filled("ones", (op.groups,), 1.0), site.filled("zeros", (op.groups,), 0.0)
    groups = site.reshape(site.x, (op.groups, -1), "groups")
    value = site.add("InstanceNormalization", groups, ones, zeros, part="normal", epsilon=op.eps)
    if not op.affine:
        return site.reshape(value, site.shape)
    value = site.reshape(value, site.shape, "whole")
    scaled = site.add("Mul", value, site.along(site.tensor("weight"), "scale"), part="scaled")
    return site.add("Add", scaled, site.along(site.tensor("bias"), "shift"))


def instance_norm(site: Site, op: InstanceNorm) -> str:
    return site.add("InstanceNormalization", site.x, *_learnt(site, site.shape[:1]), epsilon=op.eps)


def lrn(site: Site, op: LRN) -> str:
    """The definition: ONNX Runtime's own LRN is slower, takes images alone, and loses digits in a running sum.

    A window's mean counts the zeros past the first and the last channel, as alpha / size does.
    """
    if not (op.alpha and op.beta):
        return site.add("Div", site.x, site.constant("divisor", op.k**op.beta))
    square = site.add("Mul", site.x, site.x, part="square")
    plane = site.reshape(square, (1, site.shape[0], -1), "plane")
    half = op.size // 2
    window: dict[str, Any] = {
        "kernel_shape": [op.size, 1],
        "pads": [half, 0, half, 0],
        "count_include_pad": 1,
    }
    mean = site.reshape(site.add("AveragePool", plane, part="window", **window), site.shape, "mean")
    weighted = site.add("Mul", mean, site.constant("alpha", op.alpha), part="weighted")
    raised = site.add("Add", weighted, site.constant("k", op.k), part="raised")
    return site.add(
        "Div", site.x, site.add("Pow", raised, site.constant("beta", op.beta), part="divisor")
    )


def _learnt(site: Site, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Scale and shift, or what changes nothing."""
    own = site.tensors("weight", "bias")
    return own or (site.filled("ones", shape, 1.0), site.filled("zeros", shape, 0.0))


LOWERED = {
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "lrn": lrn,
}
