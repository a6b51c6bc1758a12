"""Forward passes and derivatives of a Keras model, by the autodiff of its engine."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from archspec.backend.session import OutputCotangents
from archspec_keras.runtime import to_numpy

Array = NDArray[Any]


class Derivatives(NamedTuple):
    """Outputs by head, and the derivatives of a loss by the input and by the variables."""

    outputs: dict[str, Array]
    input: Array
    variables: list[Array]


class Autodiff(Protocol):
    """Run models whose outputs are dicts. In train mode the running statistics move."""

    def forward(self, model: Any, x: Any, train: bool) -> dict[str, Array]:
        """Return the outputs by head."""
        ...

    def differentiate(
        self,
        model: Any,
        x: Any,
        variables: Sequence[Any],
        cotangents: OutputCotangents,
        train: bool,
    ) -> Derivatives:
        """Return outputs and derivatives; a variable that the loss does not depend on has zeros."""
        ...


def autodiff() -> Autodiff:
    """Return the autodiff of the engine that Keras was imported with."""
    by_engine = {"tensorflow": TensorFlowAutodiff, "jax": JaxAutodiff, "torch": TorchAutodiff}
    return by_engine[keras.backend.backend()]()


class _EagerAutodiff:
    """The forward pass of an engine that computes eagerly."""

    def forward(self, model: Any, x: Any, train: bool) -> dict[str, Array]:
        return _arrays(model(x, training=train))


class TensorFlowAutodiff(_EagerAutodiff):
    """Implements `Autodiff` with a gradient tape."""

    def differentiate(
        self,
        model: Any,
        x: Any,
        variables: Sequence[Any],
        cotangents: OutputCotangents,
        train: bool,
    ) -> Derivatives:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            tensors = model(x, training=train)
        outputs = _arrays(tensors)
        output_gradients = {
            name: tf.convert_to_tensor(value) for name, value in cotangents(outputs).items()
        }
        input_gradient, *gradients = tape.gradient(
            [tensors[name] for name in output_gradients],
            [x, *_values(variables)],
            list(output_gradients.values()),
            tf.UnconnectedGradients.ZERO,
        )
        # The gradient of a gathered variable is sparse until it is converted.
        dense = [to_numpy(tf.convert_to_tensor(gradient)) for gradient in gradients]
        return Derivatives(outputs, to_numpy(input_gradient), dense)


class JaxAutodiff:
    """Implements `Autodiff` with `jax.vjp`. Compiled functions are cached by model and mode."""

    def __init__(self) -> None:
        self.compiled: dict[tuple[int, bool], Any] = {}

    def forward(self, model: Any, x: Any, train: bool) -> dict[str, Array]:
        trained = _values(model.trainable_variables)
        others = _values(model.non_trainable_variables)
        tensors, updated = self._function(model, train)(x, trained, others)
        _assign(model.non_trainable_variables, updated)
        return _arrays(tensors)

    def differentiate(
        self,
        model: Any,
        x: Any,
        variables: Sequence[Any],
        cotangents: OutputCotangents,
        train: bool,
    ) -> Derivatives:
        import jax

        function = self._function(model, train)
        others = _values(model.non_trainable_variables)

        def forward(x: Any, trained: Any) -> Any:
            return function(x, trained, others)

        tensors, pullback, updated = jax.vjp(
            forward, x, _values(model.trainable_variables), has_aux=True
        )
        outputs = _arrays(tensors)
        zeros = {name: np.zeros_like(value) for name, value in outputs.items()}
        input_gradient, gradients = pullback({**zeros, **cotangents(outputs)})
        _assign(model.non_trainable_variables, updated)
        by_variable = {
            id(variable): gradient
            for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        }
        asked_for = [
            np.array(by_variable[id(variable)])
            if id(variable) in by_variable
            else np.zeros_like(to_numpy(variable.value))
            for variable in variables
        ]
        return Derivatives(outputs, np.array(input_gradient), asked_for)

    def _function(self, model: Any, train: bool) -> Any:
        import jax

        def call(x: Any, trained: Any, others: Any) -> Any:
            return model.stateless_call(trained, others, x, training=train)

        return self.compiled.setdefault((id(model), train), jax.jit(call))


class TorchAutodiff(_EagerAutodiff):
    """Implements `Autodiff` with `torch.autograd`."""

    def differentiate(
        self,
        model: Any,
        x: Any,
        variables: Sequence[Any],
        cotangents: OutputCotangents,
        train: bool,
    ) -> Derivatives:
        import torch

        x = x.detach().requires_grad_()
        tensors = model(x, training=train)
        outputs = {name: to_numpy(tensor.detach()) for name, tensor in tensors.items()}
        output_gradients = {
            name: torch.as_tensor(value).to(x.device) for name, value in cotangents(outputs).items()
        }
        sources = [x, *_values(variables)]
        connected = [name for name in output_gradients if tensors[name].requires_grad]
        gradients: Any = torch.autograd.grad(
            [tensors[name] for name in connected],
            sources,
            [output_gradients[name] for name in connected],
            allow_unused=True,
        )
        dtype = x.detach().cpu().numpy().dtype
        input_gradient, *dense = [
            np.zeros(tuple(source.shape), dtype) if gradient is None else to_numpy(gradient)
            for source, gradient in zip(sources, gradients, strict=True)
        ]
        return Derivatives(outputs, input_gradient, dense)


def _arrays(tensors: Any) -> dict[str, Array]:
    return {name: to_numpy(tensor) for name, tensor in tensors.items()}


def _values(variables: Sequence[Any]) -> list[Any]:
    return [variable.value for variable in variables]


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
