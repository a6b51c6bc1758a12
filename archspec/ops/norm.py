"""Normalisations: over the batch, the sample, channel groups, one channel, or neighbouring channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from archspec._numpy import Array, np
from archspec.ir.op import Derivatives, EvalContext, Op, ParamSpec, ShapeError
from archspec.ir.types import Positive, Shape, format_shape
from archspec.ops import window


class _Norm(Op):
    """Subtracts a mean, divides by a standard deviation, and applies a learnt scale and shift."""

    family = "norm"

    eps: float = Field(1e-5, ge=1e-12, le=1, description="Added to the variance before the root.")
    affine: bool = Field(default=True, description="Learn a scale and a shift.")

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        shape = self._param_shape(inputs[0])
        return (
            (ParamSpec("weight", shape, 1.0), ParamSpec("bias", shape, 0.0)) if self.affine else ()
        )

    def _param_shape(self, shape: Shape) -> Shape:
        """The shape of scale and shift: a number for each channel."""
        return shape[:1]

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """The values, and the axes over which they are normalised together."""
        raise TypeError(f"{type(self).__name__} does not say what it normalises")

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        y, _ = self._normalise(inputs[0], params, context)
        return (
            y * _broadcastable(params["weight"], y) + _broadcastable(params["bias"], y)
            if self.affine
            else y
        )

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        y, deviation = self._normalise(x, params, context)
        share, own = cotangent, {}
        if self.affine:
            weight = params["weight"]
            over = (0, *range(1 + weight.ndim, x.ndim))
            own = {"weight": (share * y).sum(axis=over), "bias": share.sum(axis=over)}
            share = share * _broadcastable(weight, y)
        share, axes = self._grouped(share)
        if self._uses_batch_stats(context):
            # Mean and deviation move with x: neither a constant in the derivative nor a multiple of y has an effect.
            y, _ = self._grouped(y)
            along = y * (share * y).mean(axis=axes, keepdims=True)
            share = context.perturb(share) - share.mean(axis=axes, keepdims=True) - along
        return ((share / deviation).reshape(x.shape),), own

    def _uses_batch_stats(self, context: EvalContext) -> bool:
        """Whether it takes mean and variance from the values themselves."""
        return True

    def _normalise(
        self, x: Array, params: Mapping[str, Array], context: EvalContext
    ) -> tuple[Array, Array]:
        """Mean 0 and variance 1 (the biased one), and the deviation that it was divided by."""
        values, axes = self._grouped(x)
        deviation = np.sqrt(values.var(axis=axes, keepdims=True) + self.eps)
        # The difference is as exact as the values are: where these hardly differ, it is rounding and nothing else.
        centred = context.perturb(values) - values.mean(axis=axes, keepdims=True)
        return (centred / deviation).reshape(x.shape), deviation


def _broadcastable(value: Array, x: Array) -> Array:
    """A learnt tensor or a moving statistic, shaped to broadcast over a batch."""
    return value.reshape(*value.shape, *(1,) * (x.ndim - 1 - value.ndim))


class BatchNorm(_Norm):
    """Normalises each channel: in train mode by the batch, in eval mode by moving statistics.

    The batch is normalised by its biased variance; the moving variance follows the unbiased one.

    >>> BatchNorm().shape((64, 56, 56))
    (64, 56, 56)
    >>> [param.role for param in BatchNorm().params((64, 56, 56))]
    ['weight', 'bias', 'running_mean', 'running_var']
    """

    kind = "batch_norm"

    momentum: float = Field(
        0.1, ge=0, le=1, description="Share of the batch in (1 - momentum)*old + momentum*batch."
    )

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        mean = ParamSpec("running_mean", inputs[0][:1], 0.0, trainable=False)
        var = ParamSpec("running_var", inputs[0][:1], 1.0, trainable=False)
        return (*super().params(*inputs), mean, var)

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x, (0, *range(2, x.ndim))

    def _uses_batch_stats(self, context: EvalContext) -> bool:
        return context.train

    def _normalise(
        self, x: Array, params: Mapping[str, Array], context: EvalContext
    ) -> tuple[Array, Array]:
        mean, var = params["running_mean"], params["running_var"]
        if not context.train:
            deviation = np.sqrt(_broadcastable(var, x) + self.eps)
            return (x - _broadcastable(mean, x)) / deviation, deviation
        if x.size // x.shape[1] < 2:
            raise ValueError("batch_norm in train mode needs more than one value per channel")
        _, axes = self._grouped(x)
        context.running_stats["running_mean"] = (1 - self.momentum) * mean + self.momentum * x.mean(
            axis=axes
        )
        context.running_stats["running_var"] = (1 - self.momentum) * var + self.momentum * x.var(
            axis=axes, ddof=1
        )
        return super()._normalise(x, params, context)


class LayerNorm(_Norm):
    """Normalises each sample: over all of its values, or over the channels at each position.

    >>> [param.shape for param in LayerNorm().params((96, 14, 14))]
    [(96, 14, 14), (96, 14, 14)]
    >>> [param.shape for param in LayerNorm(axes="channels").params((96, 14, 14))]
    [(96,), (96,)]
    """

    kind = "layer_norm"

    axes: Literal["all", "channels"] = Field(
        default="all", description="What is normalised together: sample or position."
    )

    def _param_shape(self, shape: Shape) -> Shape:
        return shape if self.axes == "all" else shape[:1]

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x, tuple(range(1, x.ndim)) if self.axes == "all" else (1,)


class GroupNorm(_Norm):
    """Normalises each sample over groups of channels and all positions.

    >>> GroupNorm(groups=32).shape((256, 14, 14))
    (256, 14, 14)
    """

    kind = "group_norm"

    groups: Positive = Field(description="Into how many groups the channels are divided.")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if x[0] % self.groups:
            message = f"{self.groups} groups do not divide the {x[0]} channels"
            raise ShapeError("AS0305", message, "use a divisor of the channels", "groups")
        if x[0] == self.groups and all(n == 1 for n in x[1:]):
            message = f"group_norm of {format_shape(x)} in {self.groups} groups normalises single values: all become 0"
            raise ShapeError("AS0304", message, "use fewer groups", "groups")
        return x

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x.reshape(len(x), self.groups, -1), (2,)


class InstanceNorm(_Norm):
    """Normalises each channel of each sample over its positions, in train and eval mode alike.

    >>> InstanceNorm().shape((64, 128, 128)), InstanceNorm().params((64, 128, 128))
    ((64, 128, 128), ())
    """

    kind = "instance_norm"

    affine: bool = Field(default=False, description="Learn a scale and a shift.")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if all(n == 1 for n in window.spatial_size(x, self.kind)):
            message = f"instance_norm of {format_shape(x)} normalises single values: all become 0"
            raise ShapeError(
                "AS0304",
                message,
                "put it before the map shrinks to one position, or use layer_norm",
            )
        return x

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        return x, tuple(range(2, x.ndim))


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(
            "the size must be odd: frameworks disagree on which side an even window is longer"
        )
    return size


class LRN(Op):
    """Local response normalisation: x / (k + alpha/size * sum of squares)**beta over `size` neighbouring channels.

    The window is clipped at the first and the last channel, and alpha is divided by the full size all the same.

    >>> LRN(size=5, alpha=1e-4, beta=0.75).shape((64, 56, 56))
    (64, 56, 56)
    """

    kind = "lrn"
    family = "norm"

    size: Annotated[Positive, AfterValidator(_odd)] = Field(
        description="Channels in the window, odd."
    )
    alpha: float = Field(1e-4, ge=0, description="Weight of the mean square.")
    beta: float = Field(0.75, ge=0, description="The exponent.")
    k: float = Field(1.0, gt=0, description="Added before the power.")

    def shape(self, *inputs: Shape) -> Shape:
        window.spatial_size(inputs[0], self.kind)
        return inputs[0]

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return x / self._denominator(x) ** self.beta

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        base = self._denominator(x)
        direct = cotangent / base**self.beta
        # x is in the windows of its neighbours as they are in its own: the sum over channels is its own transpose.
        return (
            direct
            - 2 * self.beta * self.alpha / self.size * x * self._window_sum(direct * x / base),
        ), {}

    def _denominator(self, x: Array) -> Array:
        return self.k + self.alpha / self.size * self._window_sum(x * x)

    def _window_sum(self, x: Array) -> Array:
        """The sum over the window around each channel."""
        channels = x.shape[1]
        half = min(self.size // 2, channels - 1)
        padded = np.pad(x, ((0, 0), (half, half), *((0, 0),) * (x.ndim - 2)))
        return reduce(np.add, (padded[:, i : i + channels] for i in range(2 * half + 1)))


OPS = (BatchNorm, LayerNorm, GroupNorm, InstanceNorm, LRN)
