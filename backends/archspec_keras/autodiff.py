"""How a Keras model is run and differentiated on each engine, by the means that the engine has."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part alone.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from archspec_keras.runtime import numpy

Array = NDArray[Any]
Pull = Callable[[Mapping[str, Array]], Mapping[str, Array]]
Slopes = tuple[dict[str, Array], Array, list[Array]]
"""Outputs, and the derivatives of a loss with respect to the input and to each of the variables asked for."""


class Engine(Protocol):
    """Runs models whose outputs are dicts; `train` moves their statistics."""

    def run(self, model: Any, x: Any, train: bool) -> dict[str, Array]:
        """The outputs."""
        ...

    def differentiate(
        self, model: Any, x: Any, variables: Sequence[Any], pull: Pull, train: bool
    ) -> Slopes:
        """The outputs and derivatives; what the loss does not depend on has zeros."""
        ...


def engine() -> Engine:
    """The one that Keras was imported with."""
    return {"tensorflow": TensorFlow, "jax": Jax, "torch": Torch}[keras.backend.backend()]()


class _Eager:
    """An engine that computes as it goes."""

    def run(self, model: Any, x: Any, train: bool) -> dict[str, Array]:
        return {name: numpy(y) for name, y in model(x, training=train).items()}


class TensorFlow(_Eager):
    def differentiate(
        self, model: Any, x: Any, variables: Sequence[Any], pull: Pull, train: bool
    ) -> Slopes:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = model(x, training=train)
        found = {name: numpy(y) for name, y in outputs.items()}
        shares = {name: tf.convert_to_tensor(share) for name, share in pull(found).items()}
        sources = [x, *(variable.value for variable in variables)]
        entering, *slopes = tape.gradient(
            [outputs[name] for name in shares],
            sources,
            list(shares.values()),
            tf.UnconnectedGradients.ZERO,
        )
        return found, numpy(entering), [numpy(tf.convert_to_tensor(slope)) for slope in slopes]


class Jax:
    """JAX compiles: what was compiled for a model is kept, for the next batch of the same shape."""

    def __init__(self) -> None:
        self.compiled: dict[tuple[int, bool], Any] = {}

    def run(self, model: Any, x: Any, train: bool) -> dict[str, Array]:
        trained, others = _values(model.trainable_variables), _values(model.non_trainable_variables)
        outputs, moved = self._function(model, train)(x, trained, others)
        _assign(model.non_trainable_variables, moved)
        return {name: numpy(y) for name, y in outputs.items()}

    def differentiate(
        self, model: Any, x: Any, variables: Sequence[Any], pull: Pull, train: bool
    ) -> Slopes:
        import jax

        function, others = self._function(model, train), _values(model.non_trainable_variables)

        def forward(x: Any, trained: Any) -> Any:
            return function(x, trained, others)

        outputs, pullback, moved = jax.vjp(
            forward, x, _values(model.trainable_variables), has_aux=True
        )
        found = {name: numpy(y) for name, y in outputs.items()}
        entering, slopes = pullback(
            {**{name: np.zeros_like(y) for name, y in found.items()}, **pull(found)}
        )
        _assign(model.non_trainable_variables, moved)
        own = {id(v): slope for v, slope in zip(model.trainable_variables, slopes, strict=True)}
        given = [
            np.array(own[id(v)]) if id(v) in own else np.zeros_like(numpy(v.value))
            for v in variables
        ]
        return found, np.array(entering), given

    def _function(self, model: Any, train: bool) -> Any:
        import jax

        def run(x: Any, trained: Any, others: Any) -> Any:
            return model.stateless_call(trained, others, x, training=train)

        return self.compiled.setdefault((id(model), train), jax.jit(run))


class Torch(_Eager):
    def differentiate(
        self, model: Any, x: Any, variables: Sequence[Any], pull: Pull, train: bool
    ) -> Slopes:
        import torch

        x = x.detach().requires_grad_()
        outputs = model(x, training=train)
        found = {name: numpy(y.detach()) for name, y in outputs.items()}
        shares = {name: torch.as_tensor(share).to(x.device) for name, share in pull(found).items()}
        sources = [x, *(variable.value for variable in variables)]
        connected = [name for name in shares if outputs[name].requires_grad]
        slopes: Any = torch.autograd.grad(
            [outputs[name] for name in connected],
            sources,
            [shares[name] for name in connected],
            allow_unused=True,
        )
        given = [
            np.zeros(tuple(source.shape), x.detach().cpu().numpy().dtype)
            if slope is None
            else numpy(slope)
            for source, slope in zip(sources, slopes, strict=True)
        ]
        return found, given[0], given[1:]


def _values(variables: Sequence[Any]) -> list[Any]:
    return [variable.value for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
