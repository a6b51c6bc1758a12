"""A tensor of a weight file, with what the file says about its layer, layout and order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from archspec._numpy import Array
from archspec.ir.op import Role
from archspec.ir.types import Shape

FlatOrder = Literal["chw", "hwc"]
"""The order in which flattened maps list their values: channels first, as ours, or last."""


@dataclass(frozen=True, slots=True)
class FileTensor:
    """A tensor as it lies in a file, and how the layer that owns it there uses it.

    >>> import numpy
    >>> kernel = FileTensor(numpy.zeros((256, 10)), "Dense", axes=(1, 0), flat_order="hwc")
    >>> kernel.axes, kernel.divisor
    ((1, 0), None)

    A field that the file does not state is None, and nothing is assumed in its place.
    """

    values: Array
    layer: str = ""
    """The kind of layer, as the file calls it; empty if the file has no layers."""
    axes: tuple[int, ...] | None = None
    """The portable axes in the file's order, as in `TensorLayout`; empty if the order is the
    same."""
    shape: Shape | None = None
    """The shape to read the values in, where the file's own has axes that layouts have not."""
    flat_order: FlatOrder | None = None
    """The order of the features, where a flatten or a reshape beside the layer gives them one."""
    divisor: float | None = None
    """The number that the layer divides the values by."""
    unused: str = ""
    """The reason why it is no weight of the network; empty if it is one."""


_ROLE = re.compile(rf"(^|[^a-zA-Z])({'|'.join(get_args(Role))})$")


def stated_by_role(name: str, values: Array) -> FileTensor:
    """Return a tensor of a file that has names alone: PyTorch's names state PyTorch's layouts.

    >>> stated_by_role("fc.weight", [[1.0]]).axes, stated_by_role("fc.kernel", [[1.0]]).axes
    ((), None)
    """
    if _ROLE.search(name):
        return FileTensor(values, axes=(), flat_order="chw")
    return FileTensor(values)


FileTensors = Mapping[str, Array | FileTensor]
"""A file's tensors by name; a plain array has the layout of `Backend.tensor_layout`."""
