"""A built folder opened for verification and training: outputs, activations, gradients and steps by neutral names."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras and the engines are typed in part alone.

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
from archspec_keras.autodiff import engine
from archspec_keras.layout import natives
from archspec_keras.optimizer import rule
from archspec_keras.paths import Paths
from archspec_keras.precision import precise
from archspec_keras.runtime import first, last, numpy

Array = NDArray[Any]


class KerasSession:
    """The emitted model, on the engine that Keras was imported with; its dropout is off unless it is asked for."""

    def __init__(self, folder: Path, graph: Graph, precision: Precision) -> None:
        self.graph = graph
        self.precision: Precision = precision
        with precise(precision):
            self.model: Any = import_model(folder).build_model(
                folder / "weights.safetensors", train=True
            )
        self.rates = {
            layer: layer.rate
            for layer in self.model.layers
            if isinstance(layer, keras.layers.Dropout)
        }
        always = {
            head.name: self.model.output[head.name] for head in graph.heads if not head.train_only
        }
        self.inference: Any = keras.Model(self.model.inputs, always)
        self.natives = natives(graph)
        own = {f"{layer.name}/{v.name}": v for layer in self.model.layers for v in layer.weights}
        self.variables = {
            name: own[native.name] for name, native in self.natives.items() if native.name in own
        }
        self.shapes = {name: param.shape for name, _, param in graph.parameters()}
        kept: dict[str, Array] = load_file(folder / "weights.safetensors")
        self.unused = {
            name: kept[name].astype(precision) for name in self.shapes if name not in self.variables
        }
        self.trainable = [name for name, _, param in graph.parameters() if param.trainable]
        self.trained = [name for name in self.trainable if name in self.variables]
        self.slots: dict[str, Array] = {}
        self.watched: dict[bool, Any] = {}
        self.engines = {
            dropout: engine() for dropout in (False, True)
        }  # one that compiles keeps the rates in it

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        with precise(self.precision), self._dropping(dropout):
            values = self.engines[dropout].run(
                self._model(train, return_activations), self._input(x), train
            )
        found = {name: first(y) for name, y in values.items()}
        names = {head.name for head in self.graph.heads if train or not head.train_only}
        activations = {name[1:]: value for name, value in found.items() if name.startswith("/")}
        moving = {name for name, _, param in self.graph.parameters() if not param.trainable}
        updates = (
            {name: self._value(name) for name in self.variables if name in moving} if train else {}
        )
        return ForwardResult({name: found[name] for name in names}, activations, updates)

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        outputs, entering, found = self._derivatives(x, cotangents, train)
        zeros = {
            name: np.zeros(p.shape, self.precision)
            for name, _, p in self.graph.parameters()
            if p.trainable
        }
        return Gradients(outputs, entering, {**zeros, **found})

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        """By the rule that training moves tensors by; what no output reads has a gradient of zeros."""
        _, _, gradients = self._derivatives(x, cotangents, True)
        move = rule(Recipe(momentum=optimizer.momentum, nesterov=optimizer.nesterov))
        how = optimizer.learning_rate, optimizer.weight_decay, 1
        tensor = keras.ops.convert_to_tensor
        with precise(self.precision):
            for name in self.trainable:
                value = self._value(name)
                zeros = np.zeros_like(value)
                keys = {slot: slot_name(name, slot) for slot in optimizer.rule.slots}
                slots = {slot: tensor(self.slots.get(key, zeros)) for slot, key in keys.items()}
                moved, slots = move(tensor(value), tensor(gradients.get(name, zeros)), slots, *how)
                self._assign({name: numpy(moved)})
                self.slots |= {keys[slot]: numpy(value) for slot, value in slots.items()}

    def state(self) -> SessionState:
        return SessionState({name: self._value(name) for name in self.shapes}, dict(self.slots))

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        self._assign(state.tensors)
        self.slots = {
            name: np.asarray(value, self.precision) for name, value in state.slots.items()
        }

    def _model(self, train: bool, keep: bool) -> Any:
        """The model whose outputs are the heads and, with `keep`, every node's value under `/` and its path."""
        model = self.model if train else self.inference
        if not keep:
            return model
        if train not in self.watched:
            paths, heads = Paths(self.graph), self.graph.heads
            needed = self.graph.reachable(heads) if train else self.graph.inference
            layers = {
                f"/{self.graph.nodes[i].path}": model.get_layer(paths.layer(self.graph.nodes[i]))
                for i in needed
            }
            seen = {path: layer.output for path, layer in layers.items()}
            self.watched[train] = keras.Model(model.inputs, {**model.output, **seen})
        return self.watched[train]

    def _derivatives(
        self, x: Array, pull: OutputCotangents, train: bool
    ) -> tuple[dict[str, Array], Array, dict[str, Array]]:
        """The outputs, and the derivatives with respect to the input and the trained tensors, all neutral."""

        def channels_last(outputs: Mapping[str, Array]) -> dict[str, Array]:
            found = pull({name: first(value) for name, value in outputs.items()})
            return {name: last(np.asarray(share, self.precision)) for name, share in found.items()}

        variables = [self.variables[name] for name in self.trained]
        model = self.model if train else self.inference
        with precise(self.precision), self._dropping(False):
            outputs, entering, slopes = self.engines[False].differentiate(
                model, self._input(x), variables, channels_last, train
            )
        gradients = {
            name: self._neutral(name, slope)
            for name, slope in zip(self.trained, slopes, strict=True)
        }
        return {name: first(value) for name, value in outputs.items()}, first(entering), gradients

    @contextmanager
    def _dropping(self, dropout: bool) -> Generator[None]:
        """The model drops within, or does not; Keras has no other way to leave the rest of it in train mode."""
        for layer, rate in self.rates.items():
            layer.rate = rate if dropout else 0.0
        try:
            yield
        finally:
            for layer, rate in self.rates.items():
                layer.rate = rate

    def _input(self, x: Array) -> Any:
        return keras.ops.convert_to_tensor(last(np.asarray(x, self.precision)))

    def _value(self, name: str) -> Array:
        if name not in self.variables:
            return self.unused[name]
        return self._neutral(name, numpy(self.variables[name].value))

    def _neutral(self, name: str, native: Array) -> Array:
        return self.natives[name].to_portable(self.shapes[name], native)

    def _native(self, name: str, neutral: Array) -> Array:
        return self.natives[name].from_portable(np.asarray(neutral, self.precision))

    def _assign(self, tensors: Mapping[str, Array]) -> None:
        with precise(self.precision):
            for name, tensor in tensors.items():
                if name in self.variables:
                    self.variables[name].assign(self._native(name, tensor))
                else:
                    self.unused[name] = np.asarray(tensor, self.precision)
