"""Regularisers: layers that act only in train mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from archspec._numpy import Array
from archspec.ir.op import Derivatives, EvalContext, Op


class Dropout(Op):
    """In train mode, zeroes values with probability `rate` and divides the others by 1 - rate.

    >>> Dropout(rate=0.4).shape((1024,))
    (1024,)
    """

    kind = "dropout"
    family = "regularize"

    rate: float = Field(
        ge=0, lt=1, description="Probability that a value is dropped (not that it is kept)."
    )

    def reference(
        self, inputs: Sequence[Array], params: Mapping[str, Array], context: EvalContext
    ) -> Array:
        (x,) = inputs
        if not self._drops(context):
            return x
        if context.rng is None:
            raise ValueError(
                "dropout in train mode draws from EvalContext.rng:"
                " pass a numpy Generator, or EvalContext(dropout=False)"
            )
        # Scaled in training, so that eval mode has nothing to do.
        return x * (context.rng.random(x.shape) >= self.rate) / (1 - self.rate)

    def vjp(
        self,
        inputs: Sequence[Array],
        params: Mapping[str, Array],
        context: EvalContext,
        cotangent: Array,
    ) -> Derivatives:
        if self._drops(context):
            raise ValueError(
                "dropout keeps no mask to differentiate by:"
                " take derivatives with EvalContext(dropout=False)"
            )
        return (cotangent,), {}

    def _drops(self, context: EvalContext) -> bool:
        return bool(context.train and context.dropout and self.rate)


OPS = (Dropout,)
