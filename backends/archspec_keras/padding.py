"""Where a window lies, in the words that Keras has for it: "valid", "same", or a border that is put around first.

>>> fit((112,), ((0, 0),), (3,), (2,), (1,), (56,))
'same'
>>> fit((224,), ((3, 3),), (7,), (2,), (1,), (112,))
((3, 2),)
"""

from __future__ import annotations

from collections.abc import Sequence

from archspec.codegen.lowering import Arg, compact
from archspec.ir.types import Pads, Shape
from archspec.ops import window


def fit(
    size: Shape,
    pads: Pads,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    out: Shape,
    *,
    ruled: bool = False,
) -> str | Pads:
    """How windows reach `out` positions; of a border, just what they reach. `ruled` padding is rather "same"."""
    rows = list(zip(size, pads, kernel, stride, dilation, out, strict=True))
    extents = [window.extent(k, d) for _, _, k, _, d, _ in rows]
    reach = [
        max((m - 1) * s + extent - n - p[0], 0)
        for (n, p, _, s, _, m), extent in zip(rows, extents, strict=True)
    ]
    valid = all(
        p[0] == over == 0 and m == (n - extent) // s + 1
        for (n, p, _, s, _, m), extent, over in zip(rows, extents, reach, strict=True)
    )
    same = all(
        m == -(-n // s) and p[0] == max((m - 1) * s + extent - n, 0) // 2
        for (n, p, _, s, _, m), extent in zip(rows, extents, strict=True)
    )
    if same and (ruled or not valid):
        return "same"
    return (
        "valid"
        if valid
        else tuple((p[0], over) for (_, p, _, _, _, _), over in zip(rows, reach, strict=True))
    )


def padding(fitted: str | Pads) -> Arg:
    """The argument of Keras's own layers."""
    return Arg("padding", "same" if fitted == "same" else "valid", default="valid", keyword=True)


def shortest(pads: Pads) -> int | tuple[int | tuple[int, int], ...]:
    """Pairs as ZeroPadding and Cropping take them, in their shortest spelling.

    >>> shortest(((3, 3), (3, 3))), shortest(((0, 1), (0, 1))), shortest(((1, 2),))
    (3, ((0, 1), (0, 1)), (1, 2))
    """
    if all(before == after for before, after in pads):
        number = compact(tuple(before for before, _ in pads))
        return number if isinstance(number, int) else pads
    return pads[0] if len(pads) == 1 else pads
