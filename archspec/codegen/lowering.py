"""The result of lowering an op: a layer's constructor, with argument values that are not code yet.

>>> Module("MaxPool", (Arg("kernel_size", 3, "kernel"), Arg("stride", 2, "stride", 1))).show()
'MaxPool(kernel_size=3, stride=2)'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from archspec.ir.op import Op
from archspec.ir.types import Shape

REQUIRED = object()
"""The default of an argument that has none."""

Hint = Literal["", "in", "out", "half kernel", "all"]
"""A source of an argument's value besides its field.

`in` and `out` are the channels that enter and leave, `half kernel` is kernel // 2. `all` marks a
flag that a class sets only if all of its instances do.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Arg:
    """An argument of a layer's constructor.

    `field` is the op's field that it restates. Nothing is written if the value equals `default` or
    the value of the argument named `like`.
    """

    name: str
    value: Any
    field: str = ""
    default: Any = REQUIRED
    hint: Hint = ""
    like: str = ""
    keyword: bool = False


@dataclass(frozen=True, slots=True)
class Module:
    """The call that constructs a layer of the framework, or a helper that is copied into the file.

    `before` are layers that the value passes first, such as padding.
    """

    target: str
    args: tuple[Arg, ...] = ()
    helper: bool = False
    before: tuple[Module, ...] = ()

    @property
    def layers(self) -> tuple[Module, ...]:
        """All layers in the order in which the value passes them."""
        return (*self.before, self)

    def show(self) -> str:
        """Return the call with its own values."""
        values = {arg.name: arg.value for arg in self.args}
        written = [
            f"{arg.name}={arg.value!r}"
            for arg in self.args
            if arg.value != arg.default and (not arg.like or arg.value != values[arg.like])
        ]
        return f"{self.target}({', '.join(written)})"


@dataclass(frozen=True, slots=True)
class Merge:
    """Several values become one: concatenated along the channels, added or multiplied.

    `module` is the layer that does it, where a framework has layers for that.
    """

    operator: Literal["cat", "+", "*"]
    module: Module | None = None


Lowered = Module | Merge


def no_args(target: str) -> Callable[[Op, Shape], Module]:
    """Return the lowering of an op that is a layer without arguments."""
    return lambda op, x: Module(target)


def compact(size: Any) -> Any:
    """Return a size in its shortest form: 3 for (3,) and (3, 3).

    >>> compact((3, 3)), compact((3, 5)), compact(2)
    (3, (3, 5), 2)
    """
    if not isinstance(size, tuple):
        return size
    numbers = cast("tuple[Any, ...]", size)
    if numbers and all(type(n) is int and n == numbers[0] for n in numbers):
        return numbers[0]
    return numbers


def field_arg(
    op: Op, field: str, name: str = "", default: Any = REQUIRED, *, keyword: bool = True
) -> Arg:
    """Return an argument that restates one of the op's fields."""
    return Arg(name or field, getattr(op, field), field, default, keyword=keyword)


def spatial_rank(shape: Shape) -> int:
    """Return the number of axes after the channels."""
    return len(shape) - 1
