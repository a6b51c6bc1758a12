"""Activations."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, bare, restated
from archspec.ir.op import Op
from archspec.ir.types import Shape
from archspec.ops.activation import Elu, Gelu, LeakyRelu, Prelu


def relu(op: Op, x: Shape) -> Module:
    # Whether it may overwrite its input depends on who else reads that: `inplace.py` fills it in.
    return Module("nn.ReLU", (Arg("inplace", False, default=False, hint="all", keyword=True),))


def leaky_relu(op: LeakyRelu, x: Shape) -> Module:
    return Module("nn.LeakyReLU", (restated(op, "slope", "negative_slope", 0.01, keyword=False),))


def elu(op: Elu, x: Shape) -> Module:
    return Module("nn.ELU", (restated(op, "alpha", default=1.0, keyword=False),))


def gelu(op: Gelu, x: Shape) -> Module:
    return Module("nn.GELU", (restated(op, "approximate", default="none"),))


def softmax(op: Op, x: Shape) -> Module:
    return Module("nn.Softmax", (Arg("dim", 1, keyword=True),))


def prelu(op: Prelu, x: Shape) -> Module:
    if op.shared:
        return Module("nn.PReLU")
    return Module("nn.PReLU", (Arg("num_parameters", x[0], hint="in"),))


LOWERED = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "gelu": gelu,
    "softmax": softmax,
    "prelu": prelu,
    "relu6": bare("nn.ReLU6"),
    "selu": bare("nn.SELU"),
    "silu": bare("nn.SiLU"),
    "sigmoid": bare("nn.Sigmoid"),
    "tanh": bare("nn.Tanh"),
    "hard_sigmoid": bare("nn.Hardsigmoid"),
    "hard_swish": bare("nn.Hardswish"),
}
