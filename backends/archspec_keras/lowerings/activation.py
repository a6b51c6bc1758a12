"""Activations. Some of Keras's own keep constants in float32 on TensorFlow, whatever the dtype."""

from __future__ import annotations

from collections.abc import Callable

from archspec.codegen.lowering import Arg, Module, field_arg, no_args
from archspec.ir.op import Op
from archspec.ir.types import Shape
from archspec.ops.activation import Elu, Gelu, LeakyRelu, Prelu


def relu6(op: Op, x: Shape) -> Module:
    return Module("layers.ReLU", (Arg("max_value", 6.0, keyword=True),))


def leaky_relu(op: LeakyRelu, x: Shape) -> Module:
    return Module("LeakyReLU", (field_arg(op, "slope", "negative_slope", 0.3),), helper=True)


def elu(op: Elu, x: Shape) -> Module:
    return Module("layers.ELU", (field_arg(op, "alpha", default=1.0),))


def gelu(op: Gelu, x: Shape) -> Module:
    return Module(
        "Gelu",
        (Arg("approximate", op.approximate == "tanh", default=False, keyword=True),),
        helper=True,
    )


def prelu(op: Prelu, x: Shape) -> Module:
    axes = tuple(range(1, len(x) + op.shared))
    shared = (Arg("shared_axes", axes, keyword=True),) if axes else ()
    return Module("layers.PReLU", shared)


def _activation(name: str) -> Module:
    return Module("layers.Activation", (Arg("activation", name),))


def _named(name: str) -> Callable[[Op, Shape], Module]:
    return lambda op, x: _activation(name)


def _helper(name: str) -> Callable[[Op, Shape], Module]:
    return lambda op, x: Module(name, helper=True)


LOWERED = {
    "relu": no_args("layers.ReLU"),
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "gelu": gelu,
    "softmax": no_args("layers.Softmax"),
    "prelu": prelu,
    "selu": _named("selu"),
    "silu": _named("silu"),
    "sigmoid": _named("sigmoid"),
    "tanh": _named("tanh"),
    "hard_sigmoid": _helper("HardSigmoid"),
    "hard_swish": _helper("HardSwish"),
}
