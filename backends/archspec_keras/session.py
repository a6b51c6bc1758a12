"""A built folder opened for verification: outputs, activations, gradients and steps, portable."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part only.

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from archspec.backend.session import (
    ForwardResult,
    Gradients,
    OutputCotangents,
    Precision,
    SessionState,
    SgdConfig,
    slot_name,
)
from archspec.codegen.runtime import import_model
from archspec.ir.graph import Graph
from archspec.ir.recipe import Recipe
from archspec_keras.autodiff import Derivatives, autodiff
from archspec_keras.layout import tensor_layout
from archspec_keras.optimizer import update_function
from archspec_keras.paths import Paths
from archspec_keras.precision import compute_precision
from archspec_keras.runtime import to_channels_first, to_channels_last, to_numpy, variables_by_name

Array = NDArray[Any]

_ACTIVATION = "/"
"""Before the path of an activation among a model's outputs, to tell it from a head's name."""


class KerasSession:
    """Implements `archspec.backend.session.Session` on the engine that Keras was imported with."""

    def __init__(self, folder: Path, graph: Graph, precision: Precision) -> None:
        weights = folder / "weights.safetensors"
        self.graph = graph
        self.precision: Precision = precision
        with compute_precision(precision):
            self.model: Any = import_model(folder).build_model(weights, train=True)
        self.dropout_rates = {
            layer: layer.rate
            for layer in self.model.layers
            if isinstance(layer, keras.layers.Dropout)
        }
        eval_heads = {
            head.name: self.model.output[head.name] for head in graph.heads if not head.train_only
        }
        self.inference: Any = keras.Model(self.model.inputs, eval_heads)
        self.layouts = tensor_layout(graph)
        by_keras_name = variables_by_name(self.model)
        self.variables = {
            name: by_keras_name[layout.name]
            for name, layout in self.layouts.items()
            if layout.name in by_keras_name
        }
        self.shapes = {name: param.shape for name, _, param in graph.parameters()}
        # The emitted model leaves out layers that no output reads; their tensors stay as saved.
        saved: dict[str, Array] = load_file(weights)
        self.unused = {
            name: saved[name].astype(precision)
            for name in self.shapes
            if name not in self.variables
        }
        self.trainable = [name for name, _, param in graph.parameters() if param.trainable]
        self.trained = [name for name in self.trainable if name in self.variables]
        self.slots: dict[str, Array] = {}
        self.activation_models: dict[bool, Any] = {}
        # An engine that compiles builds the dropout rates into the program: one for each setting.
        self.autodiffs = {dropout: autodiff() for dropout in (False, True)}

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        model = self._model(train, return_activations)
        with compute_precision(self.precision), self._dropout(dropout):
            values = self.autodiffs[dropout].forward(model, self._input(x), train)
        heads = {head.name for head in self.graph.heads if train or not head.train_only}
        outputs: dict[str, Array] = {}
        activations: dict[str, Array] = {}
        for name, value in values.items():
            if name in heads:
                outputs[name] = to_channels_first(value)
            else:
                activations[name.removeprefix(_ACTIVATION)] = to_channels_first(value)
        return ForwardResult(outputs, activations, self._running_stats() if train else {})

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        derivatives = self._derivatives(x, cotangents, train)
        zeros = {
            name: np.zeros(param.shape, self.precision)
            for name, _, param in self.graph.parameters()
            if param.trainable
        }
        return Gradients(
            derivatives.outputs, derivatives.input, {**zeros, **self._by_name(derivatives)}
        )

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        """Update as training does; a tensor that no output reads has a gradient of zeros."""
        gradients = self._by_name(self._derivatives(x, cotangents, train=True))
        update = update_function(Recipe(momentum=optimizer.momentum, nesterov=optimizer.nesterov))
        settings = optimizer.learning_rate, optimizer.weight_decay, 1
        tensor = keras.ops.convert_to_tensor
        with compute_precision(self.precision):
            for name in self.trainable:
                value = self._value(name)
                zeros = np.zeros_like(value)
                keys = {slot: slot_name(name, slot) for slot in optimizer.rule.slots}
                slots = {slot: tensor(self.slots.get(key, zeros)) for slot, key in keys.items()}
                gradient = tensor(gradients.get(name, zeros))
                updated, slots = update(tensor(value), gradient, slots, *settings)
                self._assign({name: to_numpy(updated)})
                self.slots |= {keys[slot]: to_numpy(value) for slot, value in slots.items()}

    def state(self) -> SessionState:
        return SessionState({name: self._value(name) for name in self.shapes}, dict(self.slots))

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        self._assign(state.tensors)
        self.slots = {
            name: np.asarray(value, self.precision) for name, value in state.slots.items()
        }

    def _model(self, train: bool, return_activations: bool) -> Any:
        """Return the model whose outputs are the heads and, if asked for, every node's value."""
        model = self.model if train else self.inference
        if not return_activations:
            return model
        if train not in self.activation_models:
            paths = Paths(self.graph)
            nodes = self.graph.reachable(self.graph.heads) if train else self.graph.inference
            activations = {
                f"{_ACTIVATION}{node.path}": model.get_layer(paths.layer(node)).output
                for node in (self.graph.nodes[index] for index in nodes)
            }
            self.activation_models[train] = keras.Model(
                model.inputs, {**model.output, **activations}
            )
        return self.activation_models[train]

    def _running_stats(self) -> dict[str, Array]:
        return {
            name: self._value(name)
            for name, _, param in self.graph.parameters()
            if not param.trainable and name in self.variables
        }

    def _derivatives(self, x: Array, cotangents: OutputCotangents, train: bool) -> Derivatives:
        """Return outputs and derivatives in portable layouts, by the order of `trained`."""

        def channels_last(outputs: Mapping[str, Array]) -> dict[str, Array]:
            portable = {name: to_channels_first(value) for name, value in outputs.items()}
            return {
                name: to_channels_last(np.asarray(value, self.precision))
                for name, value in cotangents(portable).items()
            }

        variables = [self.variables[name] for name in self.trained]
        model = self._model(train, return_activations=False)
        with compute_precision(self.precision), self._dropout(False):
            derivatives = self.autodiffs[False].differentiate(
                model, self._input(x), variables, channels_last, train
            )
        return Derivatives(
            {name: to_channels_first(value) for name, value in derivatives.outputs.items()},
            to_channels_first(derivatives.input),
            [
                self._to_portable(name, gradient)
                for name, gradient in zip(self.trained, derivatives.variables, strict=True)
            ],
        )

    def _by_name(self, derivatives: Derivatives) -> dict[str, Array]:
        return dict(zip(self.trained, derivatives.variables, strict=True))

    @contextmanager
    def _dropout(self, enabled: bool) -> Generator[None]:
        """Turn dropout on or off for the block: Keras cannot leave only the rest in train mode."""
        for layer, rate in self.dropout_rates.items():
            layer.rate = rate if enabled else 0.0
        try:
            yield
        finally:
            for layer, rate in self.dropout_rates.items():
                layer.rate = rate

    def _input(self, x: Array) -> Any:
        return keras.ops.convert_to_tensor(to_channels_last(np.asarray(x, self.precision)))

    def _value(self, name: str) -> Array:
        if name not in self.variables:
            return self.unused[name]
        return self._to_portable(name, to_numpy(self.variables[name].value))

    def _to_portable(self, name: str, value: Array) -> Array:
        return self.layouts[name].to_portable(self.shapes[name], value)

    def _assign(self, tensors: Mapping[str, Array]) -> None:
        with compute_precision(self.precision):
            for name, tensor in tensors.items():
                value = np.asarray(tensor, self.precision)
                if name in self.variables:
                    self.variables[name].assign(self.layouts[name].from_portable(value))
                else:
                    self.unused[name] = value
