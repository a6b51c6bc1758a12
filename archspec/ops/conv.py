"""Convolutions over one, two or three axes, and their transposes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from pydantic import Field

from archspec._numpy import Array
from archspec.ir.op import Derivatives, EvalContext, Op, ParamSpec, ShapeError, Window
from archspec.ir.types import Amount, Padding, Pads, Positive, Shape, Size
from archspec.ops import window
from archspec.ops.correlation import Correlation


def _check_groups(groups: int, channels: int, out: int) -> None:
    for count, what in ((channels, "input"), (out, "output")):
        if count % groups:
            message = f"{groups} groups do not divide the {count} {what} channels"
            raise ShapeError(
                "AS0305", message, f"use a divisor of {math.gcd(channels, out)}", "groups"
            )


class _Convolution(Op):
    """What a convolution and its transpose share: the options, the bias, the checks."""

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
        """Kernel, stride and dilation, a number for each axis."""
        rank = len(window.spatial_size(shape, self.kind))
        return (
            window.per_axis(self.kernel, rank, "kernel"),
            window.per_axis(self.stride, rank, "stride"),
            window.per_axis(self.dilation, rank, "dilation"),
        )

    def pads(self, shape: Shape) -> Pads:
        """(before, after) for each axis."""
        kernel, stride, dilation = self.axes(shape)
        return window.pads(self.padding, shape[1:], kernel, stride, dilation)

    def _bias(self) -> tuple[ParamSpec, ...]:
        return (ParamSpec("bias", (self.out,), 0.0),) if self.bias else ()

    def _correlation(self, shape: Shape, size: Shape, out: Shape) -> Correlation:
        """The correlation between `size` and `out` for an input of this shape."""
        kernel, stride, dilation = self.axes(shape)
        return Correlation(
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            pads=self.pads(shape),
            groups=self.groups,
            size=size,
            out=out,
        )

    def _biased(self, y: Array, params: Mapping[str, Array]) -> Array:
        return y + params["bias"].reshape(-1, *(1,) * (y.ndim - 2)) if self.bias else y

    def _bias_derivative(self, cotangent: Array) -> dict[str, Array]:
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

    def window(self, *inputs: Shape) -> Window:
        kernel, stride, dilation = self.axes(inputs[0])
        reach = tuple(window.extent(k, d) for k, d in zip(kernel, dilation, strict=True))
        return reach, stride, tuple(before for before, _ in self.pads(inputs[0]))

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return self._biased(self._of(x).correlate(x, params["weight"]), params)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        own = {"weight": self._of(x).weight_vjp(x, cotangent), **self._bias_derivative(cotangent)}
        return (self._of(x).input_vjp(cotangent, params["weight"]),), own

    def _of(self, x: Array) -> Correlation:
        shape = x.shape[1:]
        return self._correlation(shape, shape[1:], self.shape(shape)[1:])


class ConvTranspose(_Convolution):
    """Transposed convolution: the gradient of a convolution with respect to its input; upsamples by its stride.

    The output's size is (in - 1) * stride - pads + dilation * (kernel - 1) + 1 + output_padding.

    >>> ConvTranspose(out=64, kernel=2, stride=2).shape((128, 14, 14))
    (64, 28, 28)
    """

    kind = "conv_transpose"

    output_padding: Amount = Field(
        default=(0,), description="Rows added after the output, below the stride or the dilation."
    )

    def pads(self, shape: Shape) -> Pads:
        if self.padding in ("same", "same_lower"):
            message = f"`{self.padding}` is not defined for a transposed convolution"
            raise ShapeError("AS0304", message, "state the padding in numbers", "padding")
        return super().pads(shape)

    def _extra(self, rank: int) -> tuple[int, ...]:
        return window.per_axis(self.output_padding, rank, "output_padding")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        kernel, stride, dilation = self.axes(x)
        _check_groups(self.groups, x[0], self.out)
        extra = self._extra(len(kernel))
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
        # Each output element is reached by about kernel/stride inputs, and its neighbour lies 1/stride further.
        kernel, stride, dilation = self.axes(inputs[0])
        reach = tuple(
            -(-window.extent(k, d) // s) for k, d, s in zip(kernel, dilation, stride, strict=True)
        )
        return reach, tuple(Fraction(1, s) for s in stride), (0,) * len(reach)

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return self._biased(self._of(x).input_vjp(x, params["weight"]), params)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        own = {"weight": self._of(x).weight_vjp(cotangent, x), **self._bias_derivative(cotangent)}
        return (self._of(x).correlate(cotangent, params["weight"]),), own

    def _of(self, x: Array) -> Correlation:
        """The correlation whose transpose it is: from its output to its input."""
        shape = x.shape[1:]
        return self._correlation(shape, self.shape(shape)[1:], shape[1:])


OPS = (Conv, ConvTranspose)
