"""Shapes as specs state them: `28x28x256` in the order of papers, or [256, 28, 28] channels first.

>>> claimed_shape("28x28x256"), claimed_shape([256, 28, 28])
((256, 28, 28), (256, 28, 28))
"""

from __future__ import annotations

from typing import Any

from archspec.ir.types import Shape, positive_ints


def claimed_shape(value: Any) -> Shape | None:
    """The shape that a stated output means, channels first; None if it is none."""
    size = positive_ints(value)
    if size is None or isinstance(value, list | tuple):
        return size
    return (size[-1], *size[:-1])


def answers(shape: Shape, claim: Shape) -> bool:
    """Whether a shape is the claimed one; a vector of 1000 also answers to 1x1x1000."""
    return shape == claim or (len(shape) == 1 and claim[0] == shape[0] and set(claim[1:]) <= {1})
