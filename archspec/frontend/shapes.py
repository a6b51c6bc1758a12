"""Shapes as specs state them: `28x28x256` as papers do, or [256, 28, 28], channels first.

>>> parse_shape("28x28x256"), parse_shape([256, 28, 28])
((256, 28, 28), (256, 28, 28))
"""

from __future__ import annotations

from typing import Any

from archspec.ir.types import Shape, positive_ints


def parse_shape(value: Any) -> Shape | None:
    """Return the shape that a stated output means, channels first; None if it is not a shape."""
    size = positive_ints(value)
    if size is None or isinstance(value, list | tuple):
        return size
    return (size[-1], *size[:-1])


def matches_claim(shape: Shape, claim: Shape) -> bool:
    """Return True if a shape is the stated one; a vector of 1000 is also 1x1x1000."""
    if shape == claim:
        return True
    return len(shape) == 1 and claim[0] == shape[0] and set(claim[1:]) <= {1}
