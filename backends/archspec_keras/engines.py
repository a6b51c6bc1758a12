"""Derivatives of a Keras model on each engine, by the means that the engine has."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part alone.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from archspec_keras.runtime import numpy

Array = NDArray[Any]
Pull = Callable[[Mapping[str, Array]], Mapping[str, Array]]
Differentiate = Callable[[Any, Any, Sequence[Any], Pull, bool], tuple[dict[str, Array], Array, list[Array]]]
"""From a model, its input, variables, a loss and the mode to the outputs and the derivatives by input and variables."""


def differentiator() -> Differentiate:
    """That of the engine that Keras was imported with."""
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]


def _tensorflow(
    model: Any, x: Any, variables: Sequence[Any], pull: Pull, train: bool
) -> tuple[dict[str, Array], Array, list[Array]]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model(x, training=train)
    found = {name: numpy(y) for name, y in outputs.items()}
    shares = {name: tf.convert_to_tensor(share) for name, share in pull(found).items()}
    sources = [x, *(variable.value for variable in variables)]
    entering, *slopes = tape.gradient(
        [outputs[name] for name in shares], sources, list(shares.values()), tf.UnconnectedGradients.ZERO
    )
    return found, numpy(entering), [numpy(tf.convert_to_tensor(slope)) for slope in slopes]


def _jax(
    model: Any, x: Any, variables: Sequence[Any], pull: Pull, train: bool
) -> tuple[dict[str, Array], Array, list[Array]]:
    import jax

    trained = {id(variable): place for place, variable in enumerate(variables)}
    frozen = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    def run(x: Any, values: Any, others: Any) -> Any:
        all_values = [
            values[trained[id(variable)]] if id(variable) in trained else value
            for variable, value in zip(model.trainable_variables, frozen, strict=True)
        ]
        return model.stateless_call(all_values, others, x, training=train)

    values = [variable.value for variable in variables]
    outputs, moved = jax.jit(run)(x, values, others)
    found = {name: numpy(y) for name, y in outputs.items()}
    shares = {**{name: np.zeros_like(y) for name, y in found.items()}, **pull(found)}

    @jax.jit
    def back(x: Any, values: Any, others: Any, shares: Any) -> Any:
        def forward(x: Any, values: Any) -> Any:
            return run(x, values, others)

        _, pullback, _ = jax.vjp(forward, x, values, has_aux=True)
        return pullback(shares)

    entering, slopes = back(x, values, others, shares)
    for variable, value in zip(model.non_trainable_variables, moved, strict=True):
        variable.assign(value)
    return found, np.array(entering), [np.array(slope) for slope in slopes]


def _torch(
    model: Any, x: Any, variables: Sequence[Any], pull: Pull, train: bool
) -> tuple[dict[str, Array], Array, list[Array]]:
    import torch

    x = x.detach().requires_grad_()
    outputs = model(x, training=train)
    found = {name: numpy(y.detach()) for name, y in outputs.items()}
    shares = {name: torch.as_tensor(share).to(x.device) for name, share in pull(found).items()}
    sources = [x, *(variable.value for variable in variables)]
    connected = [name for name in shares if outputs[name].requires_grad]
    slopes: Any = torch.autograd.grad(
        [outputs[name] for name in connected], sources, [shares[name] for name in connected], allow_unused=True
    )
    given = [
        np.zeros(tuple(source.shape), x.detach().cpu().numpy().dtype) if slope is None else numpy(slope)
        for source, slope in zip(sources, slopes, strict=True)
    ]
    return found, given[0], given[1:]
