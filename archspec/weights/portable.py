"""One tensor of a file as a portable one: by what the file states, by a mapping's words, or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archspec._numpy import Array, np
from archspec.backend import FileTensor, FileTensors, TensorLayout
from archspec.backend.file_tensor import FlatOrder, stated_by_role
from archspec.diagnostics import quote
from archspec.ir.graph import Graph, Node
from archspec.ir.op import ParamSpec
from archspec.ir.types import Shape, format_shape
from archspec.weights.feature_order import Orders, to_ours
from archspec.weights.mapping_rules import TensorSource, is_divisor, stated_number


class Misfit(Exception):
    """A tensor that does not fit, or of which the file does not say enough; the text says why."""


@dataclass(frozen=True)
class PortableReader:
    """Reads portable tensors of a network from a file's.

    `layouts` are those of a framework's own names, `is_own` is set for a file of that framework.
    """

    graph: Graph
    """The whole network, of which a part may be read."""
    tensors: FileTensors
    layouts: Mapping[str, TensorLayout]
    is_own: bool
    orders: Orders
    """Those of the graph whose nodes are read."""

    def read(self, name: str, node: Node, param: ParamSpec, source: TensorSource) -> Array:
        """Return a tensor of a network in the portable layout; raise `Misfit`."""
        tensor = self._stated(name, param, source)
        if tensor.values.dtype.kind != "f":
            raise Misfit(
                f"of another type: {quote(source.name)} is {tensor.values.dtype}, "
                "expected floating-point numbers"
            )
        along = _output_axis(node, param)
        if source.split and along and param.shape[along] != node.shape[0]:
            raise Misfit(
                f"not split: {quote(source.name)}, since {quote(name)} has groups, "
                "whose outputs do not lie one after the other"
            )
        shape = _of_rank(self._whole_shape(param, source, along), tensor.axes)
        axes = self._axes(node, shape, tensor, source)
        values = TensorLayout("", (), axes).to_portable(shape, tensor.values)
        values = _part(values, name, source, self._sizes(source), along)
        return self._divided(
            self._in_our_order(values, node, param, tensor, source), tensor, source
        )

    def _stated(self, name: str, param: ParamSpec, source: TensorSource) -> FileTensor:
        """Return a tensor with what its file, its name or a framework's layout states."""
        entry = self.tensors[source.name]
        if isinstance(entry, FileTensor):
            return entry
        by_role = stated_by_role(source.name, entry)
        layout = self.layouts.get(name)
        if layout is None:
            return by_role
        order: FlatOrder | None = "chw" if self.is_own else by_role.flat_order
        if _trimmed(entry.shape, len(layout.shape)) != layout.shape:
            raise _of_another_shape(source.name, entry.shape, layout.shape)
        # The framework may have axes of size 1 that the portable layout has not.
        lies = _laid_out(param.shape, layout.axes or (*range(len(param.shape)),))
        return FileTensor(entry, axes=layout.axes, flat_order=order, shape=lies)

    def _sizes(self, source: TensorSource) -> dict[str, int]:
        """Return the outputs of each tensor that lies in one."""
        return {
            name: param.shape[_output_axis(node, param)]
            for name, node, param in self.graph.parameters()
            if name in source.split
        }

    def _whole_shape(self, param: ParamSpec, source: TensorSource, along: int) -> Shape:
        if not source.split:
            return param.shape
        outputs = sum(self._sizes(source).values())
        return (*param.shape[:along], outputs, *param.shape[along + 1 :])

    def _axes(
        self, node: Node, shape: Shape, tensor: FileTensor, source: TensorSource
    ) -> tuple[int, ...]:
        """Return the portable axes in the file's order; raise `Misfit` if they are not known."""
        file_shape = tensor.values.shape if tensor.shape is None else tensor.shape
        lies = _trimmed(file_shape, len(shape))
        choices = {"none": (*range(len(shape)),), "in_out": _in_out(node, len(shape))}
        fitting = [word for word, axes in choices.items() if _laid_out(shape, axes) == lies]
        if source.transpose is not None:
            axes = choices[source.transpose]
        elif tensor.axes is not None:
            axes = _axes_of_rank(tensor.axes, len(shape))
        else:
            _check_known(tensor, source, is_ambiguous=len(shape) > 1 and len(fitting) > 1)
            axes = choices["none"]
        if len(axes) != len(shape) or _laid_out(shape, axes) != lies:
            hint = next((word for word in fitting if source.transpose is None), "")
            expected = _laid_out(shape, axes) or shape
            raise _of_another_shape(source.name, file_shape, expected, hint)
        return axes

    def _in_our_order(
        self,
        values: Array,
        node: Node,
        param: ParamSpec,
        tensor: FileTensor,
        source: TensorSource,
    ) -> Array:
        """Return a tensor with its features in the order C,H,W where a flatten or reshape orders
        them."""
        is_matrix = node.op.kind == "linear" and len(param.shape) > 1
        made = self.orders.get(node.index)
        read = self.orders.get(node.inputs[0]) if is_matrix else None
        if len(node.shape) != 1 or (made is None and read is None):
            return values
        if _known_order(tensor, source) == "chw":
            return values
        values = to_ours(values, 0, made)
        return to_ours(values, 1, read) if read is not None else values

    def _divided(self, values: Array, tensor: FileTensor, source: TensorSource) -> Array:
        """Return a tensor divided as its layer does it, or as a mapping says."""
        if source.divide_by:
            return values.astype(np.float64) / self._divisor(source.divide_by)
        if tensor.divisor is None:
            return values
        # A file's own 0 is Caffe's: a sum of nothing, whose mean is 0.
        divisor = tensor.divisor
        return values.astype(np.float64) / divisor if divisor else np.zeros_like(values)

    def _divisor(self, text: str) -> float:
        """Return the number that a mapping states, or names a tensor for; raise `Misfit`."""
        entry = self.tensors.get(text)
        if entry is None:
            number = stated_number(text)
            if number is None:
                raise Misfit(f"missing: {quote(text)}, a divisor")
            return number
        numbers = entry.values if isinstance(entry, FileTensor) else entry
        if numbers.size != 1:
            raise Misfit(
                f"of another shape: {quote(text)} has {numbers.size:,} values, and a divisor is one"
            )
        divisor = float(numbers.ravel()[0])
        if not is_divisor(divisor):
            raise Misfit(
                f"no divisor: {quote(text)} is {divisor:g}, expected a finite number other than 0"
            )
        return divisor


def _check_known(tensor: FileTensor, source: TensorSource, is_ambiguous: bool) -> None:
    """Raise `Misfit` if neither the file nor the tensor's shape says how it lies there."""
    name = quote(source.name)
    if tensor.layer and not source.divide_by:
        message = f"not known: what a layer {quote(tensor.layer)} does with {name}"
        raise Misfit(f"{message}; a mapping says it with `transpose`, or `transpose: none`")
    if is_ambiguous:
        raise Misfit(
            f"not known: {name} is {format_shape(tensor.values.shape)}, in or out first; "
            "a mapping says it with `transpose: in_out` or `transpose: none`"
        )


def _known_order(tensor: FileTensor, source: TensorSource) -> FlatOrder:
    """Return the order of a tensor's features; raise `Misfit` if it is not known."""
    order = source.rows or tensor.flat_order
    if order is not None:
        return order
    owner = f" of a layer {quote(tensor.layer)}" if tensor.layer else ""
    raise Misfit(
        f"not known: the order, C,H,W or H,W,C, of the features in {quote(source.name)}"
        f"{owner}; a mapping says it with `rows: chw` or `rows: hwc`"
    )


def _part(
    values: Array, name: str, source: TensorSource, sizes: Mapping[str, int], along: int
) -> Array:
    """Return the outputs of one tensor, of several that lie one after the other."""
    start = 0
    for other in source.split:
        if other == name:
            return values.take(range(start, start + sizes[other]), axis=along)
        start += sizes.get(other, 0)
    return values


def _output_axis(node: Node, param: ParamSpec) -> int:
    """Return the axis of a portable tensor along which its layer's outputs lie."""
    return int(node.op.kind == "conv_transpose" and len(param.shape) > 1)


def _in_out(node: Node, rank: int) -> tuple[int, ...]:
    """Return the portable axes in the order [*kernel, in, out]."""
    last = (0, 1) if node.op.kind == "conv_transpose" else (1, 0)
    return (*range(2, rank), *last) if rank > 1 else (0,)


def _of_rank(shape: Shape, axes: tuple[int, ...] | None) -> Shape:
    """Return a shape without the kernel of size 1 that the file's layer has not."""
    rank = len(axes or shape)
    return shape[:rank] if all(size == 1 for size in shape[rank:]) else shape


def _axes_of_rank(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Return axes without the first ones, a kernel of size 1 that the network's layer has not."""
    rest = axes[max(len(axes) - rank, 0) :] if axes else range(rank)
    return tuple(sorted(rest).index(axis) for axis in rest)


def _laid_out(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(shape[axis] for axis in axes)


def _of_another_shape(name: str, actual: Shape, expected: Shape, word: str = "") -> Misfit:
    shapes = f"{quote(name)} is {format_shape(actual)}, expected {format_shape(expected)}"
    hint = f"; a mapping's `transpose: {word}` turns it" if word else ""
    return Misfit(f"of another shape: {shapes}{hint}")


def _trimmed(shape: Shape, rank: int) -> Shape:
    """Return a shape without the leading axes of 1 that some projects pad it with."""
    extra = len(shape) - rank
    return shape[extra:] if extra > 0 and all(size == 1 for size in shape[:extra]) else shape
