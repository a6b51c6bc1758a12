"""Activations."""

from __future__ import annotations

import math
from collections.abc import Callable

from archspec.ir.op import Op
from archspec.ops.activation import Elu, Gelu, LeakyRelu, Prelu
from archspec_onnx.lowering import Site


def bare(operator: str) -> Callable[[Site, Op], str]:
    """An op that is one node without options."""
    return lambda site, op: site.add(operator, site.x)


def relu6(site: Site, op: Op) -> str:
    return site.add("Clip", site.x, site.constant("least", 0.0), site.constant("most", 6.0))


def leaky_relu(site: Site, op: LeakyRelu) -> str:
    return site.add("LeakyRelu", site.x, alpha=op.slope)


def elu(site: Site, op: Elu) -> str:
    return site.add("Elu", site.x, alpha=op.alpha)


def gelu(site: Site, op: Gelu) -> str:
    """Older opsets have no Gelu: half of x, times one more than erf or tanh."""
    if site.opset >= 20:
        return site.add("Gelu", site.x, approximate=op.approximate)
    scaled = site.add("Mul", site.x, site.constant("root", math.sqrt(0.5)), part="scaled")
    if op.approximate == "tanh":
        cube = site.add("Pow", site.x, site.constant("three", 3.0), part="cube")
        bent = site.add("Mul", cube, site.constant("bend", 0.044715), part="bent")
        whole = site.add("Add", site.x, bent, part="argument")
        scaled = site.add("Mul", whole, site.constant("rate", math.sqrt(2 / math.pi)), part="rated")
    curve = site.add("Tanh" if op.approximate == "tanh" else "Erf", scaled, part="curve")
    raised = site.add("Add", curve, site.constant("one", 1.0), part="raised")
    doubled = site.add("Mul", site.x, raised, part="doubled")
    return site.add("Mul", doubled, site.constant("half", 0.5))


def silu(site: Site, op: Op) -> str:
    return site.add("Mul", site.x, site.add("Sigmoid", site.x, part="gate"))


def hard_sigmoid(site: Site, op: Op) -> str:
    return site.add("HardSigmoid", site.x, alpha=1 / 6, beta=0.5)


def softmax(site: Site, op: Op) -> str:
    return site.add("Softmax", site.x, axis=1)


def prelu(site: Site, op: Prelu) -> str:
    return site.add("PRelu", site.x, site.along(site.tensor("weight"), "slope"))


LOWERED = {
    "relu": bare("Relu"),
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "selu": bare("Selu"),
    "gelu": gelu,
    "silu": silu,
    "sigmoid": bare("Sigmoid"),
    "tanh": bare("Tanh"),
    "hard_sigmoid": hard_sigmoid,
    "hard_swish": bare("HardSwish"),
    "softmax": softmax,
    "prelu": prelu,
}
