"""Layers that move values; only the interpolation of resize computes any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from archspec._numpy import Array, np
from archspec.ir.op import MAX_PERIOD, Derivatives, EvalContext, Op, Reads, ShapeError, Window
from archspec.ir.types import LIMIT, Padding, Pads, Positive, Shape, Size, format_shape
from archspec.ops import indexing, window


def _numbers(sides: Any) -> Any:
    if isinstance(sides, str):
        raise ValueError("state the sides in numbers: 1, [1, 2], [[0, 1], [0, 1]]")
    return sides


_natural = {"type": "integer", "minimum": 0}
_pair = {"type": "array", "items": _natural, "minItems": 2, "maxItems": 2}
_per_axis = {"type": "array", "items": {"anyOf": [_natural, _pair]}, "minItems": 1, "maxItems": 3}
Sides = Annotated[
    Padding, AfterValidator(_numbers), WithJsonSchema({"anyOf": [_natural, _per_axis]})
]
"""A number for every side, one per axis, or a [before, after] pair per axis."""


class _Move(Op):
    """An op that moves values."""

    family = "shape"

    def _pad_pairs(self, sides: Any, shape: Shape) -> Pads:
        """Return (before, after) per axis."""
        return window.pads(sides, window.spatial_size(shape, self.kind), (), (), ())

    def _input_vjp(self, x: Array, share: Array) -> Array:
        """Return the derivative by the input x; by default the same values in the shape of x."""
        return share.reshape(x.shape)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        return (self._input_vjp(inputs[0], cotangent),), {}


class Identity(_Move):
    """Its input.

    >>> Identity().shape((64, 7, 7))
    (64, 7, 7)
    """

    kind = "identity"

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return inputs[0]


class Flatten(_Move):
    """All values of a sample as one vector, in the order C,H,W.

    >>> Flatten().shape((512, 7, 7))
    (25088,)
    """

    kind = "flatten"

    def shape(self, *inputs: Shape) -> Shape:
        return (math.prod(inputs[0]),)

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return inputs[0].reshape(len(inputs[0]), -1)


def _at_most_one_inferred(to: tuple[int, ...]) -> tuple[int, ...]:
    if 0 in to:
        raise ValueError("a size is at least 1, or -1 for what is left")
    if to.count(-1) > 1:
        raise ValueError("only one size can be -1")
    return to


class Reshape(_Move):
    """The same values in the same order (C,H,W) under another shape, channels first.

    >>> Reshape(to=[256, -1]).shape((256, 6, 6))
    (256, 36)
    """

    kind = "reshape"

    to: Annotated[
        tuple[Annotated[int, Field(ge=-1, le=LIMIT)], ...],
        Field(
            strict=False,
            min_length=1,
            max_length=4,
            description="The new shape of a sample; one size may be -1.",
        ),
        AfterValidator(_at_most_one_inferred),
    ]

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        count = math.prod(x)
        stated = math.prod(n for n in self.to if n > 0)
        if count % stated or (-1 not in self.to and count != stated):
            shown = " x ".join(map(str, self.to))
            message = f"reshape of {format_shape(x)}, {count} values, to {shown}"
            raise ShapeError(
                "AS0308", message, "a reshape keeps the number of values; let one size be -1", "to"
            )
        return tuple(count // stated if n < 0 else n for n in self.to)

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return x.reshape(len(x), *self.shape(x.shape[1:]))


class ChannelShuffle(_Move):
    """Interleaves channel groups: (groups, C/groups) transposed.

    The next grouped convolution then sees all of them.

    >>> ChannelShuffle(groups=3).shape((240, 28, 28))
    (240, 28, 28)
    """

    kind = "channel_shuffle"

    groups: Positive = Field(description="Number of groups that the channels are divided into.")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if x[0] % self.groups:
            message = f"{self.groups} groups do not divide the {x[0]} channels"
            raise ShapeError("AS0305", message, "use a divisor of the channels", "groups")
        return x

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return self._swapped(inputs[0], self.groups)

    def _input_vjp(self, x: Array, share: Array) -> Array:
        return self._swapped(share, x.shape[1] // self.groups)

    def _swapped(self, x: Array, groups: int) -> Array:
        grouped = x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
        return grouped.swapaxes(1, 2).reshape(x.shape)


class Pad(_Move):
    """Puts a border around the positions.

    It holds a constant, the mirrored inside without its edge, or the repeated edge.

    >>> Pad(padding=[[0, 1], [0, 1]]).shape((64, 112, 112))
    (64, 113, 113)
    """

    kind = "pad"

    padding: Sides = Field(
        description="Width of the border: for every side, per axis, or [before, after] per axis."
    )
    mode: Literal["constant", "reflect", "replicate"] = Field(
        default="constant", description="Content of the border."
    )
    value: float = Field(default=0.0, description="The constant.")

    @model_validator(mode="after")
    def _value_is_used(self) -> Pad:
        if self.mode != "constant" and self.value:
            raise ValueError(f"`value` has no meaning in the mode `{self.mode}`")
        return self

    def pads(self, shape: Shape) -> Pads:
        """Return the border (before, after) per axis, which lowerings use."""
        return self._pad_pairs(self.padding, shape)

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        pads = self.pads(x)
        for n, pair in zip(x[1:], pads, strict=True):
            if self.mode == "reflect" and max(pair) >= n:
                width = max(pair)
                message = f"a reflected border of {width} needs more than {width} values, found {n}"
                raise ShapeError(
                    "AS0304", message, "pad less, or use the mode `replicate`", "padding"
                )
        return (x[0], *(n + sum(pair) for n, pair in zip(x[1:], pads, strict=True)))

    def window(self, *inputs: Shape) -> Window:
        return tuple(Reads.sliding(1, 1, before) for before, _ in self.pads(inputs[0]))

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        pads = self.pads(x.shape[1:])
        if self.mode == "constant":
            return window.pad_array(x, pads, self.value)
        for axis, pair in enumerate(pads, 2):
            x = np.take(x, self._sources(x.shape[axis], pair), axis)
        return x

    def _input_vjp(self, x: Array, share: Array) -> Array:
        pads = self.pads(x.shape[1:])
        if self.mode == "constant":
            return window.crop_array(share, pads)
        for axis, pair in enumerate(pads, 2):
            sources = self._sources(x.shape[axis], pair)
            share = indexing.scatter_add(share, sources, axis, x.shape[axis])
        return share

    def _sources(self, n: int, pair: tuple[int, int]) -> Array:
        """Return the positions that an axis of n shows after padding."""
        mode = "reflect" if self.mode == "reflect" else "edge"
        return indexing.border_sources(n, pair, mode)


class Crop(_Move):
    """Cuts a border off: `sides` is its width, or `size` the size of the middle that is left.

    If a border is odd, the smaller part is cut off before: (in - size) // 2.

    >>> Crop(size=56).shape((512, 64, 64)), Crop(sides=[[0, 1], [0, 1]]).shape((64, 8, 8))
    ((512, 56, 56), (64, 7, 7))
    """

    kind = "crop"

    size: Size | None = Field(default=None, description="Size of the middle that is left.")
    sides: Sides | None = Field(
        default=None, description="Width of the border: for every side, per axis, or in pairs."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Crop:
        if (self.size is None) == (self.sides is None):
            raise ValueError("give either `size` or `sides`")
        return self

    def margins(self, shape: Shape) -> Pads:
        """Return the border (before, after) that is cut off each axis, which lowerings use."""
        if self.size is None:
            return self._pad_pairs(self.sides, shape)
        size = window.spatial_size(shape, self.kind)
        rest = [
            n - m for n, m in zip(size, window.per_axis(self.size, len(size), "size"), strict=True)
        ]
        return tuple((r // 2, r - r // 2) for r in rest)

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        margins = self.margins(x)
        out = tuple(n - sum(pair) for n, pair in zip(x[1:], margins, strict=True))
        if self.size is not None and any(sum(pair) < 0 for pair in margins):
            message = (
                f"the crop to {format_shape(out)} is larger than its input of {format_shape(x[1:])}"
            )
            raise ShapeError("AS0310", message, "crop the larger of the two values", "size")
        if min(out) < 1:
            raise ShapeError(
                "AS0310",
                f"the crop leaves nothing of {format_shape(x[1:])}",
                "cut off less",
                "sides",
            )
        return (x[0], *out)

    def window(self, *inputs: Shape) -> Window:
        return tuple(Reads.sliding(1, 1, -before) for before, _ in self.margins(inputs[0]))

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return window.crop_array(x, self.margins(x.shape[1:]))

    def _input_vjp(self, x: Array, share: Array) -> Array:
        return window.pad_array(share, self.margins(x.shape[1:]))


class Resize(_Move):
    """Interpolates the positions by `mode` and `coordinates`, neither of which has a default.

    Output position i of m lies, on an input of n positions, at (i + 0.5) * n/m - 0.5 with
    `half_pixel`, at i * (n - 1)/(m - 1) with `align_corners`, at i * n/m with `asymmetric`.
    `nearest` takes the position below i * n/m (asymmetric) or (i + 0.5) * n/m (half_pixel);
    `linear` takes the two around it, with the first and last repeated.

    >>> Resize(scale=2, mode="nearest", coordinates="asymmetric").shape((256, 14, 14))
    (256, 28, 28)
    """

    kind = "resize"

    size: Size | None = Field(default=None, description="Size of the output.")
    scale: Size | None = Field(
        default=None, description="Whole factor by which it grows, for all axes or each."
    )
    mode: Literal["nearest", "linear"] = Field(
        description="One position, or the weighted mean of its neighbours."
    )
    coordinates: indexing.Coordinates = Field(description="Positions of the outputs on the input.")

    @model_validator(mode="after")
    def _defined(self) -> Resize:
        if (self.size is None) == (self.scale is None):
            raise ValueError("give either `size` or `scale`")
        if (self.mode, self.coordinates) in (
            ("nearest", "align_corners"),
            ("linear", "asymmetric"),
        ):
            other = "asymmetric" if self.mode == "nearest" else "align_corners"
            message = (
                f"the mode `{self.mode}` goes with half_pixel or {other}:"
                f" frameworks disagree on {self.coordinates}"
            )
            raise ValueError(message)
        return self

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        size = window.spatial_size(x, self.kind)
        if self.size is not None:
            return (x[0], *window.per_axis(self.size, len(size), "size"))
        scale = window.per_axis(self.scale or (1,), len(size), "scale")
        return (x[0], *(n * s for n, s in zip(size, scale, strict=True)))

    def window(self, *inputs: Shape) -> Window:
        rows = zip(inputs[0][1:], self.shape(*inputs)[1:], strict=True)
        return tuple(self._reads(n, m) for n, m in rows)

    def _reads(self, n: int, m: int) -> Reads:
        """Return the positions around each output, the second only where it has a weight."""
        if self.coordinates == "align_corners":
            advance, start = Fraction(max(n - 1, 1), max(m - 1, 1)), Fraction(0)
        else:
            advance = Fraction(n, m)
            is_half = self.coordinates == "half_pixel"
            start = (advance - 1) / 2 if is_half else Fraction(0)
        period = advance.denominator
        reach = 0 if self.mode == "nearest" else 1
        if period > MAX_PERIOD:
            return Reads((start,), (start + reach,), advance)
        # The nearest position is that on or below the middle of the output.
        shift = Fraction(1, 2) if not reach and self.coordinates == "half_pixel" else 0
        at = [start + i * advance + shift for i in range(period)]
        first = tuple(map(math.floor, at))
        last = tuple(map(math.ceil, at)) if reach else first
        return Reads(first, last, advance.numerator)

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        for axis, m in enumerate(self.shape(x.shape[1:])[1:], 2):
            x = indexing.weighted_sum(x, self._sources(x.shape[axis], m), axis)
        return x

    def _input_vjp(self, x: Array, share: Array) -> Array:
        for axis, n in enumerate(x.shape[2:], 2):
            sources = self._sources(n, share.shape[axis])
            share = indexing.weighted_sum_vjp(share, sources, axis, n)
        return share

    def _sources(self, n: int, m: int) -> indexing.Sources:
        """Return the sources of m positions on an axis of n."""
        if self.mode == "nearest":
            return indexing.nearest_sources(n, m, self.coordinates)
        return indexing.linear_sources(n, m, self.coordinates)


OPS = (Identity, Flatten, Reshape, ChannelShuffle, Pad, Crop, Resize)
