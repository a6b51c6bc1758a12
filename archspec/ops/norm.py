"""Normalisations over the batch, the sample, channel groups, or single or neighbouring channels."""

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
    """Subtract a mean, divide by a standard deviation, and apply a learnt scale and shift."""

    family = "norm"

    eps: float = Field(1e-5, ge=1e-12, le=1, description="Added to the variance before the root.")
    affine: bool = Field(default=True, description="Learn a scale and a shift.")

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        shape = self._param_shape(inputs[0])
        return (
            (ParamSpec("weight", shape, 1.0), ParamSpec("bias", shape, 0.0)) if self.affine else ()
        )

    def _param_shape(self, shape: Shape) -> Shape:
        """Return the shape of scale and shift: by default a number per channel."""
        return shape[:1]

    def _grouped(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """Return the values, and the axes over which they are normalised together."""
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
        share = cotangent
        gradients: dict[str, Array] = {}
        if self.affine:
            weight = params["weight"]
            over = (0, *range(1 + weight.ndim, x.ndim))
            gradients = {"weight": (share * y).sum(axis=over), "bias": share.sum(axis=over)}
            share = share * _broadcastable(weight, y)
        share, axes = self._grouped(share)
        if self._uses_batch_stats(context):
            # Mean and deviation move with x, so that neither a constant in the derivative nor a
            # multiple of y has an effect.
            y, _ = self._grouped(y)
            along = y * context.mean(share * y, axes)
            share = context.perturb(share) - context.mean(share, axes) - along
        return ((share / deviation).reshape(x.shape),), gradients

    def _uses_batch_stats(self, context: EvalContext) -> bool:
        """Return whether mean and variance are those of the values themselves."""
        return True

    def _normalise(
        self, x: Array, params: Mapping[str, Array], context: EvalContext
    ) -> tuple[Array, Array]:
        """Return values of mean 0 and biased variance 1, and the deviation they were divided by."""
        values, axes = self._grouped(x)
        deviation = np.sqrt(values.var(axis=axes, keepdims=True) + self.eps)
        # The difference is as exact as the values: where these hardly differ, it is only rounding.
        centred = context.perturb(values) - values.mean(axis=axes, keepdims=True)
        return (centred / deviation).reshape(x.shape), deviation


def _broadcastable(value: Array, x: Array) -> Array:
    """Shape a learnt tensor or a running statistic to broadcast over a batch."""
    return value.reshape(*value.shape, *(1,) * (x.ndim - 1 - value.ndim))


class BatchNorm(_Norm):
    """Normalises each channel: in train mode by the batch, in eval mode by running statistics.

    The batch is normalised by its biased variance; the running variance follows the unbiased one.

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
        # The unbiased variance is tracked, as in torch; the biased one normalises.
        stats = context.running_stats
        stats["running_mean"] = self._moved(mean, x.mean(axis=axes))
        stats["running_var"] = self._moved(var, x.var(axis=axes, ddof=1))
        return super()._normalise(x, params, context)

    def _moved(self, running: Array, batch: Array) -> Array:
        return (1 - self.momentum) * running + self.momentum * batch


class LayerNorm(_Norm):
    """Normalises each sample: over all of its values, or over the channels at each position.

    >>> [param.shape for param in LayerNorm().params((96, 14, 14))]
    [(96, 14, 14), (96, 14, 14)]
    >>> [param.shape for param in LayerNorm(axes="channels").params((96, 14, 14))]
    [(96,), (96,)]
    """

    kind = "layer_norm"

    axes: Literal["all", "channels"] = Field(
        default="all",
        description="The values normalised together: those of a sample or of a position.",
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

    groups: Positive = Field(description="Number of groups that the channels are divided into.")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if x[0] % self.groups:
            message = f"{self.groups} groups do not divide the {x[0]} channels"
            raise ShapeError("AS0305", message, "use a divisor of the channels", "groups")
        if x[0] == self.groups and all(n == 1 for n in x[1:]):
            message = (
                f"group_norm of {format_shape(x)} in {self.groups} groups"
                " normalises single values: all become 0"
            )
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
    """Local response normalisation: x / (k + alpha/size * sum of squares)**beta.

    The sum is over `size` neighbouring channels. The window is clipped at the first and the last
    channel, and alpha is still divided by the full size.

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
        # A channel is in the windows of its neighbours as they are in its own: the window sum is
        # its own transpose.
        return (
            direct
            - 2 * self.beta * self.alpha / self.size * x * self._window_sum(direct * x / base),
        ), {}

    def _denominator(self, x: Array) -> Array:
        return self.k + self.alpha / self.size * self._window_sum(x * x)

    def _window_sum(self, x: Array) -> Array:
        """Return the sum over the window around each channel."""
        channels = x.shape[1]
        half = min(self.size // 2, channels - 1)
        padded = np.pad(x, ((0, 0), (half, half), *((0, 0),) * (x.ndim - 2)))
        return reduce(np.add, (padded[:, i : i + channels] for i in range(2 * half + 1)))


OPS = (BatchNorm, LayerNorm, GroupNorm, InstanceNorm, LRN)
