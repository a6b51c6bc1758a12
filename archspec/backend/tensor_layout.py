"""A tensor as a framework holds it, against the portable layout."""

from __future__ import annotations

from dataclasses import dataclass

from archspec._numpy import Array, np
from archspec.ir.types import Shape


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """A tensor as the framework holds it: `name` there, `shape`, and `axes`, the neutral axes in the framework's order.

    >>> kernel = TensorLayout("conv/kernel", (3, 3, 64, 128), (2, 3, 1, 0))
    >>> kernel.from_portable(np.zeros((128, 64, 3, 3))).shape
    (3, 3, 64, 128)
    >>> kernel.to_portable((128, 64, 3, 3), np.zeros((3, 3, 64, 128))).shape
    (128, 64, 3, 3)
    """

    name: str
    shape: Shape
    axes: tuple[int, ...] = ()
    """Empty where the order is the neutral one."""

    def from_portable(self, neutral: Array) -> Array:
        """From the neutral layout."""
        return neutral.transpose(self.axes or tuple(range(neutral.ndim))).reshape(self.shape)

    def to_portable(self, shape: Shape, native: Array) -> Array:
        """Back to the neutral layout, of that shape."""
        axes = self.axes or tuple(range(len(shape)))
        return native.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
