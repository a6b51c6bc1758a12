"""What an op becomes: the constructor of a layer, as a name and arguments that are values, not yet words.

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
"""Where a value comes from besides its field: the channels that enter, those that leave, or half the kernel; `all` is
a permission, which a class has where all of its instances have it."""


@dataclass(frozen=True, slots=True, eq=False)
class Arg:
    """One argument. `field` is the op's field that it restates; where the value equals `default`, or the argument
    called `like`, nothing is written."""

    name: str
    value: Any
    field: str = ""
    default: Any = REQUIRED
    hint: Hint = ""
    like: str = ""
    keyword: bool = False


@dataclass(frozen=True, slots=True)
class Module:
    """The call that builds a layer: the framework's own, or a helper that is written into the file.

    `before` are layers that the value passes first, as a border that is put around it.
    """

    target: str
    args: tuple[Arg, ...] = ()
    helper: bool = False
    before: tuple[Module, ...] = ()

    @property
    def layers(self) -> tuple[Module, ...]:
        """The layers in the order in which the value passes them."""
        return (*self.before, self)

    def show(self) -> str:
        """How it reads with its own values."""
        known = {arg.name: arg.value for arg in self.args}
        told = [
            a
            for a in self.args
            if a.value != a.default and (not a.like or a.value != known[a.like])
        ]
        return f"{self.target}({', '.join(f'{arg.name}={arg.value!r}' for arg in told)})"


@dataclass(frozen=True, slots=True)
class Merge:
    """Several values become one: laid one after the other along the channels, added or multiplied.

    `module` is the layer that does it, where a framework has layers for that.
    """

    operator: Literal["cat", "+", "*"]
    module: Module | None = None


Lowered = Module | Merge


def no_args(target: str) -> Callable[[Op, Shape], Module]:
    """The lowering of an op that is a layer without arguments."""
    return lambda op, x: Module(target)


def compact(size: Any) -> Any:
    """A size in its shortest spelling: 3 for (3,) and (3, 3)."""
    if not isinstance(size, tuple):
        return size
    numbers = cast("tuple[Any, ...]", size)
    return (
        numbers[0]
        if numbers and all(type(n) is int and n == numbers[0] for n in numbers)
        else numbers
    )


def field_arg(
    op: Op, field: str, name: str = "", default: Any = REQUIRED, *, keyword: bool = True
) -> Arg:
    """An argument that is one of the op's fields as it stands."""
    return Arg(name or field, getattr(op, field), field, default, keyword=keyword)


def spatial_rank(shape: Shape) -> int:
    """How many axes follow the channels."""
    return len(shape) - 1
