"""Activations."""

from __future__ import annotations

import math
from collections.abc import Callable

from archspec.ir.op import Op
from archspec.ops.activation import Elu, Gelu, LeakyRelu, Prelu
from archspec_onnx.lowering import LoweringContext


def one_node(operator: str) -> Callable[[LoweringContext, Op], str]:
    """Return the lowering of an op that is one node without attributes."""
    return lambda ctx, op: ctx.add(operator, ctx.x)


def relu6(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("Clip", ctx.x, ctx.constant("least", 0.0), ctx.constant("most", 6.0))


def leaky_relu(ctx: LoweringContext, op: LeakyRelu) -> str:
    return ctx.add("LeakyRelu", ctx.x, alpha=op.slope)


def elu(ctx: LoweringContext, op: Elu) -> str:
    return ctx.add("Elu", ctx.x, alpha=op.alpha)


def gelu(ctx: LoweringContext, op: Gelu) -> str:
    """Write x / 2 * (1 + erf or tanh) for opsets before 20, which have no Gelu."""
    if ctx.opset >= 20:
        return ctx.add("Gelu", ctx.x, approximate=op.approximate)
    scaled = ctx.add("Mul", ctx.x, ctx.constant("root", math.sqrt(0.5)), part="scaled")
    if op.approximate == "tanh":
        cube = ctx.add("Pow", ctx.x, ctx.constant("three", 3.0), part="cube")
        bent = ctx.add("Mul", cube, ctx.constant("bend", 0.044715), part="bent")
        whole = ctx.add("Add", ctx.x, bent, part="argument")
        scaled = ctx.add("Mul", whole, ctx.constant("rate", math.sqrt(2 / math.pi)), part="rated")
    curve = ctx.add("Tanh" if op.approximate == "tanh" else "Erf", scaled, part="curve")
    raised = ctx.add("Add", curve, ctx.constant("one", 1.0), part="raised")
    doubled = ctx.add("Mul", ctx.x, raised, part="doubled")
    return ctx.add("Mul", doubled, ctx.constant("half", 0.5))


def silu(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("Mul", ctx.x, ctx.add("Sigmoid", ctx.x, part="gate"))


def hard_sigmoid(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("HardSigmoid", ctx.x, alpha=1 / 6, beta=0.5)


def softmax(ctx: LoweringContext, op: Op) -> str:
    return ctx.add("Softmax", ctx.x, axis=1)


def prelu(ctx: LoweringContext, op: Prelu) -> str:
    return ctx.add("PRelu", ctx.x, ctx.per_channel(ctx.tensor("weight"), "slope"))


LOWERED = {
    "relu": one_node("Relu"),
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": one_node("Selu"),
    "gelu": gelu,
    "silu": silu,
    "sigmoid": one_node("Sigmoid"),
    "tanh": one_node("Tanh"),
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": one_node("HardSwish"),
    "softmax": softmax,
    "prelu": prelu,
}
