"""Activations: functions of each value by itself, and softmax over the channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from archspec._numpy import Array, np
from archspec.ir.op import Derivatives, EvalContext, Op, ParamSpec
from archspec.ir.types import Shape


class _Activation(Op):
    """A function of each value."""

    family = "activation"

    def apply(self, x: Array) -> Array:
        """Apply the function to a batch."""
        raise TypeError(f"{type(self).__name__} declares no function")

    def derivative(self, x: Array) -> Array:
        """Return the derivative at each value; at a kink, the one that PyTorch takes there."""
        raise TypeError(f"{type(self).__name__} declares no derivative")

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        return self.apply(inputs[0]) + _rounding_of_one(inputs[0], context)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        return (
            cotangent * (self.derivative(inputs[0]) + _rounding_of_one(cotangent, context)),
        ), {}


def _rounding_of_one(x: Array, context: EvalContext) -> Array:
    """Return how much rounding moves a 1.

    Engines compute exp(x) - 1, and slopes as 1 - y²: differences of which little may be left.
    """
    one = np.ones_like(x)
    return context.perturb(one) - one


def _sigmoid(x: Array) -> Array:
    # The exp of a negative number only, so that nothing overflows.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1 + e)


class Relu(_Activation):
    """max(x, 0).

    >>> Relu().apply(np.array([[-2.0, 3.0]])).tolist()
    [[0.0, 3.0]]
    """

    kind = "relu"

    def apply(self, x: Array) -> Array:
        return np.maximum(x, 0.0)

    def derivative(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, 0.0)


class Relu6(_Activation):
    """min(max(x, 0), 6).

    >>> Relu6().apply(np.array([[-2.0, 3.0, 8.0]])).tolist()
    [[0.0, 3.0, 6.0]]
    """

    kind = "relu6"

    def apply(self, x: Array) -> Array:
        return np.clip(x, 0.0, 6.0)

    def derivative(self, x: Array) -> Array:
        return np.where((x > 0) & (x < 6), 1.0, 0.0)


class LeakyRelu(_Activation):
    """x if it is positive, else slope * x.

    >>> LeakyRelu().apply(np.array([[-2.0, 3.0]])).tolist()
    [[-0.02, 3.0]]
    """

    kind = "leaky_relu"

    slope: float = Field(0.01, ge=0, description="Slope on the negative side.")

    def apply(self, x: Array) -> Array:
        return np.where(x >= 0, x, self.slope * x)

    def derivative(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, self.slope)


class Elu(_Activation):
    """x if it is positive, else alpha * (exp(x) - 1).

    >>> Elu().apply(np.array([[-1.0, 3.0]])).round(4).tolist()
    [[-0.6321, 3.0]]
    """

    kind = "elu"

    alpha: float = Field(1.0, ge=0, description="The limit of the negative side, negated.")

    def apply(self, x: Array) -> Array:
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0.0)))

    def derivative(self, x: Array) -> Array:
        return np.where(x > 0, 1.0, self.alpha * np.exp(np.minimum(x, 0.0)))


_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805


class Selu(_Activation):
    """The self-normalising elu: scale * elu(x, alpha) with the constants of Klambauer et al., 2017.

    >>> Selu().apply(np.array([[-1.0, 1.0]])).round(4).tolist()
    [[-1.1113, 1.0507]]
    """

    kind = "selu"

    def apply(self, x: Array) -> Array:
        return _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0.0)))

    def derivative(self, x: Array) -> Array:
        return _SCALE * np.where(x > 0, 1.0, _ALPHA * np.exp(np.minimum(x, 0.0)))


class Gelu(_Activation):
    """x times the normal distribution function at x, exact or by its tanh approximation.

    >>> Gelu().apply(np.array([[-1.0, 1.0]])).round(4).tolist()
    [[-0.1587, 0.8413]]
    """

    kind = "gelu"

    approximate: Literal["none", "tanh"] = Field(
        default="none", description="`tanh`: the approximation BERT and GPT used."
    )

    def apply(self, x: Array) -> Array:
        if self.approximate == "tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return x * self._distribution(x)

    def derivative(self, x: Array) -> Array:
        if self.approximate == "tanh":
            # (1 + tanh z) / 2 is the sigmoid of 2z. Its derivative by z is twice the product of the
            # sigmoids of 2z and -2z.
            z = math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)
            return _sigmoid(z) * (
                1 + x * _sigmoid(-z) * math.sqrt(8 / math.pi) * (1 + 3 * 0.044715 * x**2)
            )
        return self._distribution(x) + x * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)

    def _distribution(self, x: Array) -> Array:
        # erfc(-z) is 1 + erf(z) without the cancellation on the far negative side.
        return 0.5 * np.vectorize(math.erfc, otypes=[float])(x * -math.sqrt(0.5))


class Silu(_Activation):
    """x * sigmoid(x), also known as swish.

    >>> Silu().apply(np.array([[-1.0, 1.0]])).round(4).tolist()
    [[-0.2689, 0.7311]]
    """

    kind = "silu"

    def apply(self, x: Array) -> Array:
        return x * _sigmoid(x)

    def derivative(self, x: Array) -> Array:
        return _sigmoid(x) * (1 + x * _sigmoid(-x))


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)).

    >>> Sigmoid().apply(np.array([[-1000.0, 0.0, 1000.0]])).tolist()
    [[0.0, 0.5, 1.0]]
    """

    kind = "sigmoid"

    def apply(self, x: Array) -> Array:
        return _sigmoid(x)

    def derivative(self, x: Array) -> Array:
        return _sigmoid(x) * _sigmoid(-x)


class Tanh(_Activation):
    """The hyperbolic tangent.

    >>> Tanh().apply(np.array([[0.0, 1.0]])).round(4).tolist()
    [[0.0, 0.7616]]
    """

    kind = "tanh"

    def apply(self, x: Array) -> Array:
        return np.tanh(x)

    def derivative(self, x: Array) -> Array:
        return 4 * _sigmoid(2 * x) * _sigmoid(-2 * x)


class HardSigmoid(_Activation):
    """relu6(x + 3) / 6, as in MobileNetV3.

    >>> HardSigmoid().apply(np.array([[-4.0, 0.0, 1.5]])).tolist()
    [[0.0, 0.5, 0.75]]
    """

    kind = "hard_sigmoid"

    def apply(self, x: Array) -> Array:
        return np.clip(x + 3, 0.0, 6.0) / 6

    def derivative(self, x: Array) -> Array:
        return np.where(np.abs(x) < 3, 1 / 6, 0.0)


class HardSwish(_Activation):
    """x * relu6(x + 3) / 6, as in MobileNetV3.

    >>> HardSwish().apply(np.array([[-3.0, 1.5, 4.0]])).tolist()
    [[-0.0, 1.125, 4.0]]
    """

    kind = "hard_swish"

    def apply(self, x: Array) -> Array:
        return x * np.clip(x + 3, 0.0, 6.0) / 6

    def derivative(self, x: Array) -> Array:
        return np.where(x <= -3, 0.0, np.where(x < 3, x / 3 + 0.5, 1.0))


class Softmax(_Activation):
    """exp(x) over the channels, divided by its sum, at each position.

    >>> Softmax().apply(np.array([[1000.0, 1000.0]])).tolist()
    [[0.5, 0.5]]
    """

    kind = "softmax"

    def apply(self, x: Array) -> Array:
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        y = context.perturb(self.apply(inputs[0]))
        mean = context.mean(cotangent * y, (1,)) * y.shape[1]
        return (y * (cotangent - mean),), {}


class Prelu(Op):
    """x if it is positive, else weight * x, with a learnt weight per channel or one for all.

    >>> [(param.shape, param.init) for param in Prelu().params((64, 28, 28))]
    [((64,), 0.25)]
    """

    kind = "prelu"
    family = "activation"

    shared: bool = Field(default=False, description="One weight for all channels.")

    def params(self, *inputs: Shape) -> tuple[ParamSpec, ...]:
        return (ParamSpec("weight", (1,) if self.shared else inputs[0][:1], 0.25),)

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        return np.where(x >= 0, x, params["weight"].reshape(-1, *(1,) * (x.ndim - 2)) * x)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        (x,) = inputs
        slope = np.where(x > 0, 1.0, params["weight"].reshape(-1, *(1,) * (x.ndim - 2)))
        share = cotangent * np.minimum(x, 0.0)
        weight = share.sum(axis=tuple(axis for axis in range(x.ndim) if self.shared or axis != 1))
        return (cotangent * slope,), {"weight": weight.reshape(-1)}


OPS = (
    Relu, Relu6, LeakyRelu, Elu, Selu, Gelu, Silu, Sigmoid, Tanh, HardSigmoid, HardSwish,
    Softmax, Prelu,
)  # fmt: skip
