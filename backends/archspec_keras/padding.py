"""The padding of windows in Keras's terms: "valid", "same", or zeros padded explicitly before.

>>> fit_padding((112,), ((0, 0),), (3,), (2,), (1,), (56,))
'same'
>>> fit_padding((224,), ((3, 3),), (7,), (2,), (1,), (112,))
((3, 2),)
"""

from __future__ import annotations

from collections.abc import Sequence

from archspec.codegen.lowering import Arg, compact
from archspec.ir.types import Pads, Shape
from archspec.ops import window


def fit_padding(
    size: Shape,
    pads: Pads,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    out: Shape,
    *,
    prefer_same: bool = False,
) -> str | Pads:
    """Return the padding with which windows reach `out` positions, as short as it can be said.

    Explicit padding has only the rows that windows reach. Where both "valid" and "same" are right,
    `prefer_same` says which: it is for padding that the spec names by a rule.
    """
    axes = list(zip(size, pads, kernel, stride, dilation, out, strict=True))
    extents = [window.extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
    reached = [
        (before, max((m - 1) * s + extent - n - before, 0))
        for (n, (before, _), _, s, _, m), extent in zip(axes, extents, strict=True)
    ]
    valid = all(
        sides == (0, 0) and m == (n - extent) // s + 1
        for (n, _, _, s, _, m), extent, sides in zip(axes, extents, reached, strict=True)
    )
    same = all(
        m == -(-n // s) and before == max((m - 1) * s + extent - n, 0) // 2
        for (n, (before, _), _, s, _, m), extent in zip(axes, extents, strict=True)
    )
    if same and (prefer_same or not valid):
        return "same"
    return "valid" if valid else tuple(reached)


def padding_arg(fitted: str | Pads) -> Arg:
    """Return the `padding` argument of Keras's own layers."""
    return Arg("padding", "same" if fitted == "same" else "valid", default="valid", keyword=True)


def compact_pads(pads: Pads) -> int | tuple[int | tuple[int, int], ...]:
    """Return pairs in the shortest form that ZeroPadding and Cropping take.

    >>> compact_pads(((3, 3), (3, 3))), compact_pads(((0, 1), (0, 1))), compact_pads(((1, 2),))
    (3, ((0, 1), (0, 1)), (1, 2))
    """
    if all(before == after for before, after in pads):
        number = compact(tuple(before for before, _ in pads))
        return number if isinstance(number, int) else pads
    return pads[0] if len(pads) == 1 else pads
