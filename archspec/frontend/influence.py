"""The arguments of the network that a value depends on, however it came from them.

>>> from archspec.ir.expr import Name
>>> of_expr(Name("out", (0, 3)), {"out": frozenset({"width"})})
frozenset({'width'})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from archspec.frontend.step import Argument, Step
from archspec.ir.expr import Apply, Attribute, Const, Expr, Name
from archspec.ir.op import Op
from archspec.ir.types import Shape

NOTHING: frozenset[str] = frozenset()

CHANNELS = "$in.channels"
"""What `in.channels` depends on; no argument has such a name. `in` stands for the other axes."""

Influence = Mapping[str, frozenset[str]]
"""By name, the arguments of the network that its value depends on."""

_CHANNELS_ONLY = ("out", "groups", "bias")
"""Fields that leave the positions of a layer's output as they are."""


class ShapeInfluence(NamedTuple):
    """The arguments that the channels of a value depend on, and those of its other axes."""

    channels: frozenset[str] = NOTHING
    positions: frozenset[str] = NOTHING


def of_argument(argument: Argument | None, influence: Influence) -> frozenset[str]:
    """Return the arguments of the network that a written value depends on."""
    if argument is None:
        return NOTHING
    if argument.expr is not None:
        return of_expr(argument.expr, influence)
    return NOTHING.union(*(of_argument(child, influence) for child in argument.children))


def of_expr(expr: Expr, influence: Influence) -> frozenset[str]:
    """Return the arguments of the network that an expression depends on."""
    match expr:
        case Const() | Attribute(Name("in"), "rank"):
            return NOTHING
        case Name(name):
            return influence.get(name, NOTHING)
        case Attribute(Name("in"), "channels"):
            return influence.get(CHANNELS, NOTHING)
        case Attribute(of):
            return of_expr(of, influence)
        case Apply(_, args):
            return NOTHING.union(*(of_expr(arg, influence) for arg in args))


def of_output(
    op: Op, shape: Shape, step: Step, influence: Influence, inputs: list[ShapeInfluence]
) -> ShapeInfluence:
    """Return what the output of an op depends on, at least; `shape` is its output's."""
    fields = {name: of_argument(arg, influence) for name, arg in step.arguments.items()}
    channels = NOTHING.union(*(entering.channels for entering in inputs))
    positions = NOTHING.union(
        *(entering.positions for entering in inputs),
        *(read for name, read in fields.items() if name not in _CHANNELS_ONLY),
    )
    if "out" in type(op).model_fields:
        channels = fields.get("out", NOTHING)
    else:
        channels = channels.union(*fields.values())
        if op.family == "shape":  # such as flatten, which turns positions into features
            channels = positions = channels | positions
    return ShapeInfluence(channels, positions if len(shape) > 1 else NOTHING)
