"""A tensor as a framework holds it, against the portable layout."""

from __future__ import annotations

from dataclasses import dataclass

from archspec._numpy import Array, np
from archspec.ir.types import Shape


@dataclass(frozen=True, slots=True)
class Native:
    """A tensor as the framework holds it: `name` there, `shape`, and `axes`, the neutral axes in the framework's order.

    >>> kernel = Native("conv/kernel", (3, 3, 64, 128), (2, 3, 1, 0))
    >>> kernel.out_of(np.zeros((128, 64, 3, 3))).shape
    (3, 3, 64, 128)
    >>> kernel.into((128, 64, 3, 3), np.zeros((3, 3, 64, 128))).shape
    (128, 64, 3, 3)
    """

    name: str
    shape: Shape
    axes: tuple[int, ...] = ()
    """Empty where the order is the neutral one."""

    def out_of(self, neutral: Array) -> Array:
        """From the neutral layout."""
        return neutral.transpose(self.axes or tuple(range(neutral.ndim))).reshape(self.shape)

    def into(self, shape: Shape, native: Array) -> Array:
        """Back to the neutral layout, of that shape."""
        axes = self.axes or tuple(range(len(shape)))
        return native.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
