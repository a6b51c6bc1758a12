"""Padding as torch takes it: one number for both sides, or pairs with the last axis first."""

from __future__ import annotations

from typing import Any

from archspec.codegen.lowering import Arg, compact


def padding_arg(rule: Any, padding: Any) -> Arg:
    """Return the `padding` argument of torch's layers.

    Padding that a rule of the spec made, such as `same`, may be written in terms of the kernel.
    """
    form = "half kernel" if isinstance(rule, str) else ""
    return Arg("padding", padding, "padding", 0, form, keyword=True)


def symmetric_padding(pads: tuple[tuple[int, int], ...]) -> Any:
    """Return padding with equal sides as torch takes it, None if the sides differ."""
    if all(before == after for before, after in pads):
        return compact(tuple(before for before, _ in pads))
    return None


def last_axis_first(pads: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """Return padding for torch.nn.functional.pad: (left, right, top, bottom, front, back).

    >>> last_axis_first(((1, 2), (3, 4)))
    (3, 4, 1, 2)
    """
    return tuple(side for pair in reversed(pads) for side in pair)
