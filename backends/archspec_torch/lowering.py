"""What an op becomes: the constructor of a module, as a name and arguments that are values, not yet words.

>>> from archspec.ops import OPS
>>> from archspec_torch.lowerings import lower
>>> lower(OPS["max_pool"](kernel=(3,), stride=(2,)), (64, 112, 112)).show()
'nn.MaxPool2d(kernel_size=3, stride=2)'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from archspec.op import Op
from archspec.types import Shape

REQUIRED = object()
"""The default of an argument that has none."""

Hint = Literal["", "in", "out", "half kernel"]
"""Where a value comes from besides its field: the channels that enter, those that leave, or half the kernel."""


@dataclass(frozen=True, slots=True)
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
    """The call that builds a layer: a class of torch.nn, or a helper that is written into the file."""

    target: str
    args: tuple[Arg, ...] = ()
    helper: bool = False

    def show(self) -> str:
        """How it reads with its own values."""
        known = {arg.name: arg.value for arg in self.args}
        told = [a for a in self.args if a.value != a.default and (not a.like or a.value != known[a.like])]
        return f"{self.target}({', '.join(f'{arg.name}={arg.value!r}' for arg in told)})"


@dataclass(frozen=True, slots=True)
class Merge:
    """Several values become one in `forward`: an operator between them, or `torch.cat`."""

    operator: Literal["cat", "+", "*"]


Lowered = Module | Merge


def bare(target: str) -> Callable[[Op, Shape], Module]:
    """The lowering of an op that is a module without arguments."""
    return lambda op, x: Module(target)


def plain(size: Any) -> Any:
    """A size in its shortest spelling: 3 for (3,) and (3, 3)."""
    if not isinstance(size, tuple):
        return size
    numbers = cast("tuple[Any, ...]", size)
    return numbers[0] if numbers and all(type(n) is int and n == numbers[0] for n in numbers) else numbers


def restated(op: Op, field: str, name: str = "", default: Any = REQUIRED, *, keyword: bool = True) -> Arg:
    """An argument that is one of the op's fields as it stands."""
    return Arg(name or field, getattr(op, field), field, default, keyword=keyword)


def inside(rule: Any, padding: Any) -> Arg:
    """The padding of torch's own layers; what a rule of the spec made may be spoken by the kernel."""
    return Arg("padding", padding, "padding", 0, "half kernel" if isinstance(rule, str) else "", keyword=True)


def both_sides(pads: tuple[tuple[int, int], ...]) -> Any:
    """Padding that is the same before and after, as torch takes it; None where it is not."""
    if all(before == after for before, after in pads):
        return plain(tuple(before for before, _ in pads))
    return None


def last_axis_first(pads: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Pairs in the order of torch.nn.functional.pad: (left, right, top, bottom, front, back)."""
    return tuple(side for pair in reversed(pads) for side in pair)


def rank(shape: Shape) -> int:
    """How many axes follow the channels."""
    return len(shape) - 1
