"""How torch takes padding: one number a side where both are equal, pairs with the last axis first elsewhere."""

from __future__ import annotations

from typing import Any

from archspec.codegen.lowering import Arg, compact


def inside(rule: Any, padding: Any) -> Arg:
    """The padding of torch's own layers; what a rule of the spec made may be spoken by the kernel."""
    return Arg(
        "padding",
        padding,
        "padding",
        0,
        "half kernel" if isinstance(rule, str) else "",
        keyword=True,
    )


def both_sides(pads: tuple[tuple[int, int], ...]) -> Any:
    """Padding that is the same before and after, as torch takes it; None where it is not."""
    if all(before == after for before, after in pads):
        return compact(tuple(before for before, _ in pads))
    return None


def last_axis_first(pads: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Pairs in the order of torch.nn.functional.pad: (left, right, top, bottom, front, back)."""
    return tuple(side for pair in reversed(pads) for side in pair)
