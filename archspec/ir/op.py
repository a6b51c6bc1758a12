"""What a layer declares: fields, shape rule, parameters, MACs, a float64 reference and its derivative, in one class.

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
"""Of a loss, with respect to each input, and to each trainable parameter by role."""


class ShapeError(Exception):
    """An op refuses its input; `field` names the field at fault, where it is one."""

    def __init__(self, code: str, message: str, help: str = "", field: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.field = code, message, help, field


Role = Literal["weight", "bias", "running_mean", "running_var"]
"""What a tensor is to its layer; the last part of its neutral name."""


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One tensor that a layer owns, in the neutral layout: linear [out, in], conv [out, in/groups, *kernel].

    `fan` is (in, out) as initialisers count it; `init` is the initialiser that is used where the spec states none;
    moving statistics are not trainable.
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
    """How the reference runs: in train mode batch norm uses the batch and dropout draws masks from `rng`.

    `dropout` off keeps train mode comparable across engines. Moving statistics that train mode updates land in
    `updates`, by role. `disturb` moves every value that is computed, as rounding does: to see how far that reaches.
    Nodes of which `still` has the path are in eval mode whatever the rest is in.
    """

    train: bool = False
    dropout: bool = True
    rng: Any = None
    running_stats: dict[str, Array] = field(default_factory=dict[str, Any])
    perturb: Callable[[Array], Array] = lambda value: value
    frozen_batch_norms: Collection[str] = ()

    def for_node(self, path: str) -> EvalContext:
        """How one node runs."""
        return replace(
            self, train=self.train and path not in self.frozen_batch_norms, running_stats={}
        )


Window = tuple[tuple[int, ...], tuple[int | Fraction, ...], tuple[int, ...]]
"""Per axis: effective kernel, stride (1/2 where it upsamples by two), padding before, for the receptive field."""


class Op(BaseModel):
    """A layer. A subclass is frozen data: its fields are the layer's options, its methods its whole meaning."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False
    )

    kind: ClassVar[str]
    """The name in specs."""
    family: ClassVar[str]
    """The file that declares it, the same in every backend."""
    variadic: ClassVar[bool] = False
    """Takes two inputs or more, as a merge does."""
    depth: ClassVar[Literal["", "layer", "pool"]] = ""
    """What papers count it as: a layer with weights, a pool, or neither."""

    if TYPE_CHECKING:

        def __hash__(self) -> int:
            """By its fields: pydantic gives it to what is frozen."""
            ...

    def shape(self, *inputs: Shape) -> Shape:
        """The output's shape; raises `ShapeError`."""
        return inputs[0]

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        """The tensors it owns, for these inputs."""
        return ()

    def macs(self, *inputs: Shape) -> int:
        """Multiply-adds per sample."""
        return 0

    def window(self, *inputs: Shape) -> Window | None:
        """What one output element sees along each spatial axis; None where it is a single element."""
        return None

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        """The definition: float64, batch axis first."""
        raise TypeError(f"{type(self).__name__} declares no reference")

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        """The derivative of `reference`: from d loss / d output to d loss / d every input and trainable parameter.

        It holds at these inputs and in this mode. Dropout that drops has none: raises ValueError.
        """
        raise TypeError(f"{type(self).__name__} declares no derivative")
