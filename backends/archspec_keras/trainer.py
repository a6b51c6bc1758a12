"""Training of a built folder: the emitted model's tensors, updated on Keras's engine."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras is typed in part only.

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from archspec.backend.optimizer import update_rule
from archspec.backend.session import slot_name
from archspec.backend.trainer import LOSS_SCALE, TrainerConfig, TrainState, microbatches
from archspec.codegen.runtime import import_model
from archspec_keras.layout import tensor_layout
from archspec_keras.runtime import to_numpy, variables_by_name
from archspec_keras.train_step import StepState, TrainStep

Array = NDArray[Any]

INITIAL_LOSS_SCALE = 2.0**16
"""The same as in `torch.amp.GradScaler`."""


class KerasTrainer:
    """Implements `archspec.backend.trainer.Trainer`."""

    def __init__(self, folder: Path, config: TrainerConfig) -> None:
        self.config = config
        weights = folder / "weights.safetensors"
        with _dtype_policy(config.recipe.precision):
            model: Any = import_model(folder).build_model(weights, train=True)
        self.layouts = tensor_layout(config.graph)
        self.shapes = {name: param.shape for name, _, param in config.graph.parameters()}
        self.param_groups = config.param_groups
        self.slots = update_rule(config.recipe).slots
        self._freeze_batch_norms(model)
        by_keras_name = variables_by_name(model)
        variables = {
            name: by_keras_name[layout.name]
            for name, layout in self.layouts.items()
            if layout.name in by_keras_name
        }
        self.generators = {
            f"keras.seed.{layer.name}": layer.seed_generator
            for layer in model.layers
            if hasattr(layer, "seed_generator")
        }
        for generator in self.generators.values():
            # On torch, Keras keeps the state only of generators that were given a seed.
            generator._initial_seed = config.recipe.seed
        seeds = {name: generator.state for name, generator in self.generators.items()}
        self.train_step = TrainStep(model, variables, seeds, config)
        self.device = self.train_step.jit.device()
        self.restore(TrainState(load_file(weights)))

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        assert size in (None, len(x)), "it has no group"
        self.steps += 1
        y = y.astype(np.float32 if y.dtype.kind == "f" else np.int32)
        accumulated: dict[str, Any] = {}
        *before, last = (
            (
                self._batch(x[part]),
                self._batch(y[part], y.dtype),
                self._tensor(len(x[part]) / len(x)),
            )
            for part in microbatches(len(x), self.config.recipe.accumulate)
        )
        for microbatch in before:
            self.state, accumulated = self.train_step.accumulate(
                self.state, accumulated, *microbatch
            )
        self.state, _ = self.train_step.update(
            self.state, accumulated, *last, self._tensor(learning_rate)
        )

    def losses(self) -> Mapping[str, float]:
        zeros = self._zero_losses()
        means: dict[str, float] = {}
        if self.steps:
            # In the order of the heads: JAX sorts the keys of a state.
            for name in zeros:
                means[name] = float(to_numpy(self.state.loss_sums[name])) / self.steps
        self.state = self.state._replace(loss_sums=zeros)
        self.steps = 0
        return means

    def predict(self, x: Array) -> Array:
        tensors = self.state.average or self.state.tensors
        return to_numpy(self.train_step.predict(tensors, self._batch(x)))

    def save(self) -> TrainState:
        state = self.state
        updates = int(to_numpy(state.updates))
        slots: dict[str, Array] = {}
        average: dict[str, Array] = {}
        if updates:
            average = self._to_portable(state.average)
            for slot, tensors in state.slots.items():
                for name, value in self._to_portable(tensors).items():
                    slots[slot_name(name, slot)] = value
        backend_state = {name: to_numpy(value) for name, value in state.seeds.items()}
        if state.scale:
            scale = [float(to_numpy(state.scale[name])) for name in ("factor", "good")]
            backend_state[LOSS_SCALE] = np.array(scale)
        return TrainState(self._to_portable(state.tensors), slots, average, updates, backend_state)

    def restore(self, state: TrainState) -> None:
        recipe = self.config.recipe
        backend_state = {**self._initial_backend_state(state.updates), **state.backend_state}
        scale: dict[str, Any] = {}
        if recipe.precision == "float16":
            factor, good = backend_state[LOSS_SCALE].tolist()
            scale = {"factor": self._tensor(factor), "good": self._tensor(good, "int32")}
        average: Mapping[str, Array] = {}
        if recipe.average != "none":
            average = state.average or state.tensors
        self.state = StepState(
            tensors=self._from_portable(state.tensors),
            slots={slot: self._slot(slot, state) for slot in self.slots},
            average=self._from_portable(average),
            seeds={
                name: self._tensor(backend_state[name], generator.state.dtype)
                for name, generator in self.generators.items()
            },
            loss_sums=self._zero_losses(),
            updates=self._tensor(state.updates, "int32"),
            scale=scale,
        )
        self.steps = 0

    def _freeze_batch_norms(self, model: Any) -> None:
        """Make frozen batch norms untrainable, which has them use their running statistics."""
        frozen = {
            self.layouts[f"{path}.running_mean"].name.partition("/")[0]
            for path in self.config.frozen_batch_norms
        }
        for layer in model.layers:
            layer.trainable = layer.name not in frozen

    def _slot(self, slot: str, state: TrainState) -> dict[str, Any]:
        """Return a slot of every trained tensor; slots that the state lacks are zeros."""
        return self._from_portable(
            {
                name: state.slots.get(slot_name(name, slot), np.zeros(self.shapes[name]))
                for name in self.param_groups
            }
        )

    def _initial_backend_state(self, updates: int) -> dict[str, Array]:
        """Return a state for what another backend's lacks: a seed and a draw count for each layer.

        The seeds differ after each number of updates, so that no masks are drawn again.
        """
        sequence = np.random.SeedSequence(self.config.recipe.seed, spawn_key=(updates,))
        seeds = np.random.default_rng(sequence).integers(2**31, size=len(self.generators))
        return {
            LOSS_SCALE: np.array([INITIAL_LOSS_SCALE, 0]),
            **{
                name: np.array([seed, 0]) for name, seed in zip(self.generators, seeds, strict=True)
            },
        }

    def _zero_losses(self) -> dict[str, Any]:
        names = [head.name for head in self.config.graph.heads if head.loss != "none"]
        return {name: self._tensor(0) for name in (*names, "loss")}

    def _to_portable(self, tensors: Mapping[str, Any]) -> dict[str, Array]:
        return {
            name: self.layouts[name].to_portable(self.shapes[name], to_numpy(value))
            for name, value in tensors.items()
        }

    def _from_portable(self, tensors: Mapping[str, Array]) -> dict[str, Any]:
        return {
            name: self._tensor(self.layouts[name].from_portable(value))
            for name, value in tensors.items()
        }

    def _tensor(self, value: Any, dtype: Any = np.float32) -> Any:
        return self.train_step.jit.tensor(np.asarray(value, dtype))

    def _batch(self, values: Array, dtype: Any = np.float32) -> Any:
        return self.train_step.jit.tensor(np.asarray(values, dtype), batch=True)


@contextmanager
def _dtype_policy(precision: str) -> Generator[None]:
    """Layers built in the block compute in this precision and keep their weights in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
