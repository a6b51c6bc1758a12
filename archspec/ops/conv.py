"""Convolutions over one, two or three axes, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from pydantic import Field

from archspec._numpy import Array
from archspec.ir.op import (
    MAX_PERIOD,
    Derivatives,
    EvalContext,
    Op,
    ParamSpec,
    Reads,
    ShapeError,
    Window,
)
from archspec.ir.types import Amount, Padding, Pads, Positive, Shape, Size
from archspec.ops import window
from archspec.ops.correlation import Correlation
from archspec.ops.window import SlidingWindow


def _check_groups(groups: int, channels: int, out: int) -> None:
    for count, what in ((channels, "input"), (out, "output")):
        if count % groups:
            message = f"{groups} groups do not divide the {count} {what} channels"
            raise ShapeError(
                "AS0305", message, f"use a divisor of {math.gcd(channels, out)}", "groups"
            )


def _same_in_numbers(pads: Pads) -> str:
    """Return the help that spells a rule's padding out."""
    numbers = ", ".join(f"[{before}, {after}]" for before, after in pads)
    return f"leave it out, or state the padding in numbers: `padding: [{numbers}]` is the same"


class _Convolution(Op):
    """The options, the bias and the checks that a convolution and its transpose share.

    A lowering reads the fields, and `axes`, `pads` and `sliding_window` for an input's shape.
    """

    family = "conv"
    depth = "layer"

    out: Positive = Field(description="Output channels.")
    kernel: Size = Field(description="Size of the window: 3, 3x5, [3, 5].")
    stride: Size = Field(default=(1,), description="Step of the window.")
    padding: Padding = Field(
        default=0, description="Zeros around the input: numbers per side, or a rule."
    )
    dilation: Size = Field(default=(1,), description="Distance between the window's taps.")
    groups: Positive = Field(
        default=1, description="Channel groups that do not mix; `$in.channels` makes it depthwise."
    )
    bias: bool = Field(default=True, description="Add a learnt number per output channel.")

    def axes(self, shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Return kernel, stride and dilation, with a number per axis."""
        rank = len(window.spatial_size(shape, self.kind))
        return (
            window.per_axis(self.kernel, rank, "kernel"),
            window.per_axis(self.stride, rank, "stride"),
            window.per_axis(self.dilation, rank, "dilation"),
        )

    def pads(self, shape: Shape) -> Pads:
        """Return the padding (before, after) per axis."""
        kernel, stride, dilation = self.axes(shape)
        return window.pads(self.padding, shape[1:], kernel, stride, dilation)

    def _bias(self) -> tuple[ParamSpec, ...]:
        return (ParamSpec("bias", (self.out,), 0.0),) if self.bias else ()

    def sliding_window(self, shape: Shape) -> SlidingWindow:
        """Return the window for an input of this shape, all that a lowering needs to pad."""
        raise TypeError(f"{type(self).__name__} declares no window")

    def _window(self, shape: Shape, size: Shape, positions: Shape) -> SlidingWindow:
        kernel, stride, dilation = self.axes(shape)
        return SlidingWindow(
            size=size,
            positions=positions,
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            pads=self.pads(shape),
        )

    def _correlation(self, x: Array) -> Correlation:
        return Correlation(self.sliding_window(x.shape[1:]), self.groups)

    def _biased(self, y: Array, params: Mapping[str, Array]) -> Array:
        return y + params["bias"].reshape(-1, *(1,) * (y.ndim - 2)) if self.bias else y

    def _bias_vjp(self, cotangent: Array) -> dict[str, Array]:
        return {"bias": cotangent.sum(axis=(0, *range(2, cotangent.ndim)))} if self.bias else {}


class Conv(_Convolution):
    """Convolution, as the cross-correlation that every framework computes.

    >>> Conv(out=64, kernel=7, stride=2, padding=3).shape((3, 224, 224))
    (64, 112, 112)
    """

    kind = "conv"

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        kernel, stride, dilation = self.axes(x)
        _check_groups(self.groups, x[0], self.out)
        return (self.out, *window.output_size(x[1:], self.pads(x), kernel, stride, dilation))

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        (x,) = inputs
        kernel, _, _ = self.axes(x)
        # Initialisers scale by the weights that meet in an output, and by those an input reaches.
        area = math.prod(kernel)
        fan = (x[0] // self.groups * area, self.out // self.groups * area)
        return (
            ParamSpec("weight", (self.out, x[0] // self.groups, *kernel), "xavier_uniform", fan),
            *self._bias(),
        )

    def macs(self, *inputs: Shape) -> int:
        (x,) = inputs
        kernel, _, _ = self.axes(x)
        return math.prod(self.shape(x)) * (x[0] // self.groups) * math.prod(kernel)

    def sliding_window(self, shape: Shape) -> SlidingWindow:
        return self._window(shape, shape[1:], self.shape(shape)[1:])

    def window(self, *inputs: Shape) -> Window:
        return self.sliding_window(inputs[0]).reads()

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return self._biased(self._correlation(x).correlate(x, params["weight"]), params)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        correlation = self._correlation(x)
        weight = correlation.weight_vjp(x, cotangent)
        gradients = {"weight": weight, **self._bias_vjp(cotangent)}
        return (correlation.input_vjp(cotangent, params["weight"]),), gradients


class ConvTranspose(_Convolution):
    """Transposed convolution: the gradient of a convolution by its input; upsamples by its stride.

    The output's size is (in - 1) * stride - pads + dilation * (kernel - 1) + 1 + output_padding;
    with `padding: same` it is in * stride.

    >>> ConvTranspose(out=64, kernel=2, stride=2).shape((128, 14, 14))
    (64, 28, 28)
    """

    kind = "conv_transpose"

    padding: Padding = Field(
        default=0,
        description="Rows cut off around the output: numbers per side, or a rule; "
        "`same` leaves in * stride.",
    )
    output_padding: Amount = Field(
        default=(0,), description="Rows added after the output, below the stride or the dilation."
    )

    def pads(self, shape: Shape) -> Pads:
        """Return the rows (before, after) that are cut off along each axis."""
        kernel, stride, dilation = self.axes(shape)
        # `same` is that of the convolution it transposes, whose input has in * stride rows.
        size = tuple(n * s for n, s in zip(shape[1:], stride, strict=True))
        return window.pads(self.padding, size, kernel, stride, dilation)

    def added_rows(self, shape: Shape) -> tuple[int, ...]:
        """Return the rows added after the output along each axis.

        They are stated, except under `same`: a window below the stride leaves rows to add.
        """
        kernel, stride, dilation = self.axes(shape)
        stated = window.per_axis(self.output_padding, len(kernel), "output_padding")
        if self.padding not in ("same", "same_lower"):
            return stated
        if any(stated):
            message = f"`{self.padding}` makes the output in * stride, without `output_padding`"
            raise ShapeError(
                "AS0304", message, _same_in_numbers(self.pads(shape)), "output_padding"
            )
        rows = zip(kernel, stride, dilation, strict=True)
        return tuple(max(s - window.extent(k, d), 0) for k, s, d in rows)

    def sliding_window(self, shape: Shape) -> SlidingWindow:
        """Return the window of the convolution that it transposes: it slides over the output."""
        return self._window(shape, self.shape(shape)[1:], shape[1:])

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        kernel, stride, dilation = self.axes(x)
        _check_groups(self.groups, x[0], self.out)
        extra = self.added_rows(x)
        # It chooses among the sizes that a stride rounds to one, so it has to be smaller.
        if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
            message = "output_padding has to be smaller than the stride or the dilation"
            raise ShapeError("AS0304", message, field="output_padding")
        rows = zip(x[1:], self.pads(x), kernel, stride, dilation, extra, strict=True)
        size = tuple((n - 1) * s - sum(p) + window.extent(k, d) + e for n, p, k, s, d, e in rows)
        if min(size) < 1:
            raise ShapeError(
                "AS0304", "the padding takes away the whole output", "pad less", "padding"
            )
        return (self.out, *size)

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        (x,) = inputs
        kernel, _, _ = self.axes(x)
        area = math.prod(kernel)
        fan = (x[0] // self.groups * area, self.out // self.groups * area)
        return (
            ParamSpec("weight", (x[0], self.out // self.groups, *kernel), "xavier_uniform", fan),
            *self._bias(),
        )

    def macs(self, *inputs: Shape) -> int:
        (x,) = inputs
        kernel, _, _ = self.axes(x)
        return math.prod(x) * (self.out // self.groups) * math.prod(kernel)

    def window(self, *inputs: Shape) -> Window:
        kernel, stride, dilation = self.axes(inputs[0])
        rows = zip(kernel, stride, dilation, self.pads(inputs[0]), strict=True)
        return tuple(_transposed_reads(k, s, d, before) for k, s, d, (before, _) in rows)

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return self._biased(self._correlation(x).input_vjp(x, params["weight"]), params)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        correlation = self._correlation(x)
        weight = correlation.weight_vjp(cotangent, x)
        gradients = {"weight": weight, **self._bias_vjp(cotangent)}
        return (correlation.correlate(cotangent, params["weight"]),), gradients


def _transposed_reads(kernel: int, stride: int, dilation: int, before: int) -> Reads:
    """Return the inputs that are added into each output: those with i * stride + t * dilation."""
    if stride > MAX_PERIOD:
        start = Fraction(before - dilation * (kernel - 1), stride)
        return Reads((start,), (Fraction(before, stride),), Fraction(1, stride))
    common = math.gcd(dilation, stride)
    cycle = stride // common
    first: list[int | None] = []
    last: list[int | None] = []
    for output in range(before, before + stride):
        taps = range(min(kernel, cycle))
        tap = next((t for t in taps if (output - t * dilation) % stride == 0), None)
        far = None if tap is None else tap + (kernel - 1 - tap) // cycle * cycle
        last.append(None if tap is None else (output - tap * dilation) // stride)
        first.append(None if far is None else (output - far * dilation) // stride)
    return Reads(tuple(first), tuple(last), 1, dilation // common)


OPS = (Conv, ConvTranspose)
