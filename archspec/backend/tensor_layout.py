"""A tensor's name and layout in a framework, and conversion from and to the portable layout."""

from __future__ import annotations

from dataclasses import dataclass

from archspec._numpy import Array, np
from archspec.ir.types import Shape


@dataclass(frozen=True, slots=True)
class TensorLayout:
    """A tensor as the framework holds it.

    >>> kernel = TensorLayout("conv/kernel", (3, 3, 64, 128), (2, 3, 1, 0))
    >>> kernel.from_portable(np.zeros((128, 64, 3, 3))).shape
    (3, 3, 64, 128)
    >>> kernel.to_portable((128, 64, 3, 3), np.zeros((3, 3, 64, 128))).shape
    (128, 64, 3, 3)
    """

    name: str
    """The tensor's name in the framework's model, as its users see it: a key or a path."""
    shape: Shape
    """Its shape there: the portable one with the axes reordered, and axes of size 1 added or
    dropped."""
    axes: tuple[int, ...] = ()
    """The portable axes in the framework's order; empty if the order is the same."""

    def from_portable(self, portable: Array) -> Array:
        """Return a tensor in the framework's layout."""
        return portable.transpose(self.axes or tuple(range(portable.ndim))).reshape(self.shape)

    def to_portable(self, shape: Shape, native: Array) -> Array:
        """Return the framework's tensor in the portable layout; `shape` is its shape there."""
        axes = self.axes or tuple(range(len(shape)))
        return native.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))
