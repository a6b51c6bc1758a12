"""Activations."""

from __future__ import annotations

from archspec.codegen.lowering import Arg, Module, field_arg, no_args
from archspec.ir.op import Op
from archspec.ir.types import Shape
from archspec.ops.activation import Elu, Gelu, LeakyRelu, Prelu


def relu(op: Op, x: Shape) -> Module:
    # Whether it may overwrite its input depends on who else reads that: `inplace.py` fills it in.
    return Module("nn.ReLU", (Arg("inplace", False, default=False, hint="all", keyword=True),))


def leaky_relu(op: LeakyRelu, x: Shape) -> Module:
    return Module("nn.LeakyReLU", (field_arg(op, "slope", "negative_slope", 0.01, keyword=False),))


def elu(op: Elu, x: Shape) -> Module:
    return Module("nn.ELU", (field_arg(op, "alpha", default=1.0, keyword=False),))


def gelu(op: Gelu, x: Shape) -> Module:
    return Module("nn.GELU", (field_arg(op, "approximate", default="none"),))


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
    "relu6": no_args("nn.ReLU6"),
    "selu": no_args("nn.SELU"),
    "silu": no_args("nn.SiLU"),
    "sigmoid": no_args("nn.Sigmoid"),
    "tanh": no_args("nn.Tanh"),
    "hard_sigmoid": no_args("nn.Hardsigmoid"),
    "hard_swish": no_args("nn.Hardswish"),
}
