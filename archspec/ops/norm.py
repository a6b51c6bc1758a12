"""Normalisations: over the batch, the sample, channel groups, one channel, or neighbouring channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from archspec.op import Op, ParamSpec, Run, ShapeError
from archspec.ops import window
from archspec.types import Positive, Shape, format_shape

if TYPE_CHECKING:
    import numpy as np

    from archspec.op import Array
else:
    from archspec import lazy_numpy as np


class _Norm(Op):
    """Subtracts a mean, divides by a standard deviation, and applies a learnt scale and shift."""

    family = "norm"

    eps: float = Field(1e-5, ge=1e-12, le=1, description="Added to the variance before the root.")
    affine: bool = Field(default=True, description="Learn a scale and a shift.")

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        shape = self._learnt(inputs[0])
        return (ParamSpec("weight", shape, 1.0), ParamSpec("bias", shape, 0.0)) if self.affine else ()

    def _learnt(self, shape: Shape) -> Shape:
        """The shape of scale and shift: a number for each channel."""
        return shape[:1]

    def _normal(self, x: Array, axes: tuple[int, ...]) -> Array:
        """Mean 0 and variance 1 (the biased one) over these axes."""
        return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + self.eps)

    def _scaled(self, y: Array, params: Mapping[str, Array]) -> Array:
        if not self.affine:
            return y
        shape = self._learnt(y.shape[1:])
        shape = (*shape, *(1,) * (y.ndim - 1 - len(shape)))
        return y * params["weight"].reshape(shape) + params["bias"].reshape(shape)


class BatchNorm(_Norm):
    """Normalises each channel: in train mode by the batch, in eval mode by moving statistics.

    The batch is normalised by its biased variance; the moving variance follows the unbiased one.

    >>> BatchNorm().shape((64, 56, 56))
    (64, 56, 56)
    >>> [param.role for param in BatchNorm().params((64, 56, 56))]
    ['weight', 'bias', 'running_mean', 'running_var']
    """

    kind = "batch_norm"

    momentum: float = Field(0.1, ge=0, le=1, description="Share of the batch in (1 - momentum)*old + momentum*batch.")

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        mean = ParamSpec("running_mean", inputs[0][:1], 0.0, trainable=False)
        var = ParamSpec("running_var", inputs[0][:1], 1.0, trainable=False)
        return (*super().params(*inputs), mean, var)

    def reference(self, inputs: Sequence[Array], params: Mapping[str, Array], run: Run) -> Array:
        (x,) = inputs
        mean, var = params["running_mean"], params["running_var"]
        if run.train:
            axes = (0, *range(2, x.ndim))
            count = x.size // x.shape[1]
            if count < 2:
                raise ValueError("batch_norm in train mode needs more than one value per channel")
            batch = (x.mean(axis=axes), x.var(axis=axes, ddof=1))
            run.updates["running_mean"] = (1 - self.momentum) * mean + self.momentum * batch[0]
            run.updates["running_var"] = (1 - self.momentum) * var + self.momentum * batch[1]
            return self._scaled(self._normal(x, axes), params)
        tail = (1,) * (x.ndim - 2)
        y = (x - mean.reshape(-1, *tail)) / np.sqrt(var.reshape(-1, *tail) + self.eps)
        return self._scaled(y, params)


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

    def _learnt(self, shape: Shape) -> Shape:
        return shape if self.axes == "all" else shape[:1]

    def reference(self, inputs: Sequence[Array], params: Mapping[str, Array], run: Run) -> Array:
        (x,) = inputs
        return self._scaled(self._normal(x, tuple(range(1, x.ndim)) if self.axes == "all" else (1,)), params)


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

    def reference(self, inputs: Sequence[Array], params: Mapping[str, Array], run: Run) -> Array:
        (x,) = inputs
        grouped = x.reshape(len(x), self.groups, -1)
        return self._scaled(self._normal(grouped, (2,)).reshape(x.shape), params)


class InstanceNorm(_Norm):
    """Normalises each channel of each sample over its positions, in train and eval mode alike.

    >>> InstanceNorm().shape((64, 128, 128)), InstanceNorm().params((64, 128, 128))
    ((64, 128, 128), ())
    """

    kind = "instance_norm"

    affine: bool = Field(default=False, description="Learn a scale and a shift.")

    def shape(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if all(n == 1 for n in window.spatial(x, self.kind)):
            message = f"instance_norm of {format_shape(x)} normalises single values: all become 0"
            raise ShapeError("AS0304", message, "put it before the map shrinks to one position, or use layer_norm")
        return x

    def reference(self, inputs: Sequence[Array], params: Mapping[str, Array], run: Run) -> Array:
        (x,) = inputs
        return self._scaled(self._normal(x, tuple(range(2, x.ndim))), params)


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("the size must be odd: frameworks disagree on which side an even window is longer")
    return size


class LRN(Op):
    """Local response normalisation: x / (k + alpha/size * sum of squares)**beta over `size` neighbouring channels.

    The window is clipped at the first and the last channel, and alpha is divided by the full size all the same.

    >>> LRN(size=5, alpha=1e-4, beta=0.75).shape((64, 56, 56))
    (64, 56, 56)
    """

    kind = "lrn"
    family = "norm"

    size: Annotated[Positive, AfterValidator(_odd)] = Field(description="Channels in the window, odd.")
    alpha: float = Field(1e-4, ge=0, description="Weight of the mean square.")
    beta: float = Field(0.75, ge=0, description="The exponent.")
    k: float = Field(1.0, gt=0, description="Added before the power.")

    def shape(self, *inputs: Shape) -> Shape:
        window.spatial(inputs[0], self.kind)
        return inputs[0]

    def reference(self, inputs: Sequence[Array], params: Mapping[str, Array], run: Run) -> Array:
        (x,) = inputs
        channels = x.shape[1]
        half = min(self.size // 2, channels - 1)
        squares = np.pad(x * x, ((0, 0), (half, half), *((0, 0),) * (x.ndim - 2)))
        total = np.sum([squares[:, i : i + channels] for i in range(2 * half + 1)], axis=0)
        return x / (self.k + self.alpha / self.size * total) ** self.beta


OPS = (BatchNorm, LayerNorm, GroupNorm, InstanceNorm, LRN)
