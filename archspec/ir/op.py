"""The base class of layers: fields, shape rule, parameters, MACs, reference and derivative.

>>> from archspec.ops import OPS
>>> relu = OPS["relu"]()
>>> relu.shape((64, 7, 7)), relu.macs((64, 7, 7))
((64, 7, 7), 0)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from archspec._numpy import Array
from archspec.ir.types import Shape

Derivatives = tuple[tuple[Array, ...], dict[str, Array]]
"""Derivatives of a loss by each input, and by each trainable parameter by role."""


class ShapeError(Exception):
    """An op rejects its input; `field` names the field at fault, if it is one."""

    def __init__(self, code: str, message: str, help: str = "", field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.field = field


Role = Literal["weight", "bias", "running_mean", "running_var"]
"""The part that a tensor plays in its layer; the last part of its portable name."""


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """A tensor of a layer in the portable layout: linear [out, in], conv [out, in/groups, *kernel].

    `fan` is (in, out) as initialisers count it, and `init` the initialiser used unless the spec
    states another. Running statistics are not trainable.
    """

    role: Role
    shape: Shape
    init: str | float
    fan: tuple[int, int] = (1, 1)
    trainable: bool = True

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass
class EvalContext:
    """The mode that the reference evaluates in.

    In train mode, batch norm uses the statistics of the batch and dropout draws masks from `rng`;
    `dropout=False` keeps train mode comparable across engines. Updated running statistics are
    stored in `running_stats`, by role. `perturb` is applied to every computed value, to measure how
    far rounding errors reach. Nodes whose path is in `frozen_batch_norms` stay in eval mode.
    """

    train: bool = False
    dropout: bool = True
    rng: Any = None
    running_stats: dict[str, Array] = field(default_factory=dict[str, Any])
    perturb: Callable[[Array], Array] = lambda value: value
    frozen_batch_norms: Collection[str] = ()

    def for_node(self, path: str) -> EvalContext:
        """Return the context of one node."""
        return replace(
            self, train=self.train and path not in self.frozen_batch_norms, running_stats={}
        )

    def mean(self, values: Array, axes: tuple[int, ...]) -> Array:
        """Return the mean over some axes, which stay with length 1.

        A sum of n values rounds in about log2 n levels, relative to the values however small the
        sum is; the mean's rounding is the same in all values that it is subtracted from.
        """
        mean = values.mean(axis=axes, keepdims=True)
        size = abs(values).mean(axis=axes, keepdims=True)
        levels = max((values.size // max(mean.size, 1)).bit_length() - 1, 1)
        return mean + levels * (self.perturb(size) - size)


@dataclass(frozen=True, slots=True)
class Reads:
    """The positions that outputs read along an axis of the input.

    Output i of a period reads `first[i]` to `last[i]`, one in `step`, and output i + period the
    same moved by `advance`. None stands for an output that reads nothing. A window has a period of
    one; behind an upsampling by two, two neighbours differ. Fractions are a bound for periods that
    are too long to list.

    >>> Reads.sliding(extent=3, stride=2, before=1)
    Reads(first=(-1,), last=(1,), advance=2, step=1)
    """

    first: tuple[int | Fraction | None, ...]
    last: tuple[int | Fraction | None, ...]
    advance: int | Fraction
    step: int = 1

    @classmethod
    def sliding(cls, extent: int, stride: int = 1, before: int = 0, step: int = 1) -> Reads:
        """Return what windows of an extent read, `before` positions of padding before the input."""
        return cls((-before,), (extent - 1 - before,), stride, step)


MAX_PERIOD = 256
"""The most outputs that `Reads` lists."""

Window = tuple[Reads, ...]
"""What outputs read along each axis after the channels."""


class Op(BaseModel):
    """A layer. A subclass is frozen data: fields are its options, methods define its meaning."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
    )

    kind: ClassVar[str]
    """The name in specs."""
    family: ClassVar[str]
    """The file that declares it, the same in every backend."""
    variadic: ClassVar[bool] = False
    """The op takes two or more inputs, as a merge does."""
    depth: ClassVar[Literal["", "layer", "pool"]] = ""
    """The kind that papers count it as: a layer with weights, a pool, or neither."""

    if TYPE_CHECKING:

        def __hash__(self) -> int:
            """Hash the fields; pydantic defines this for frozen models."""
            ...

    def shape(self, *inputs: Shape) -> Shape:
        """Return the output's shape; raise `ShapeError` for inputs that the op rejects."""
        return inputs[0]

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        """Return the tensors that the layer owns for these inputs."""
        return ()

    def macs(self, *inputs: Shape) -> int:
        """Return multiply-adds per sample."""
        return 0

    def window(self, *inputs: Shape) -> Window | None:
        """Return what output elements read along each spatial axis; None if elementwise."""
        return None

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        """Compute the output in float64, batch axis first; this defines the op."""
        raise TypeError(f"{type(self).__name__} declares no reference")

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        """Return d loss / d each input and trainable parameter, from d loss / d output.

        It is the derivative of `reference` at these inputs and in this mode. Raise ValueError for a
        dropout that drops, which has none.
        """
        raise TypeError(f"{type(self).__name__} declares no derivative")
