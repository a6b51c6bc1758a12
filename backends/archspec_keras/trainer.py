"""A built folder that learns: the emitted model's tensors, moved step by step on Keras's engine."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras is typed in part alone.

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
from archspec_keras.layout import natives
from archspec_keras.runtime import numpy
from archspec_keras.train_step import State, Steps

Array = NDArray[Any]


class KerasTrainer:
    """Implements `archspec.backend.trainer.Trainer`."""

    def __init__(self, folder: Path, plan: TrainerConfig) -> None:
        self.plan = plan
        weights = folder / "weights.safetensors"
        with _policy(plan.recipe.precision):
            model: Any = import_model(folder).build_model(weights, train=True)
        self.natives = natives(plan.graph)
        self.shapes = {name: param.shape for name, _, param in plan.graph.parameters()}
        self.settings, self.slots = plan.param_groups, update_rule(plan.recipe).slots
        still = {
            self.natives[f"{path}.running_mean"].name.partition("/")[0]
            for path in plan.frozen_batch_norms
        }
        for layer in model.layers:
            layer.trainable = (
                layer.name not in still
            )  # a batch norm that is not normalises by its moving statistics
        own = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
        variables = {
            name: own[native.name] for name, native in self.natives.items() if native.name in own
        }
        self.seeds = {
            f"keras.seed.{layer.name}": layer.seed_generator
            for layer in model.layers
            if _draws(layer)
        }
        for generator in (
            self.seeds.values()
        ):  # on torch, Keras draws from the state of those alone that were given one
            generator._initial_seed = plan.recipe.seed
        self.steps = Steps(
            model, variables, {name: one.state for name, one in self.seeds.items()}, plan
        )
        self.device = self.steps.compiler.device()
        self.restore(TrainState(load_file(weights)))

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        assert size in (None, len(x)), "it has no group"
        self.taken += 1
        y = y.astype(np.float32 if y.dtype.kind == "f" else np.int32)
        gathered: dict[str, Any] = {}
        *before, last = (
            (
                self._batch(x[part]),
                self._batch(y[part], y.dtype),
                self._tensor(len(x[part]) / len(x)),
            )
            for part in microbatches(len(x), self.plan.recipe.accumulate)
        )
        for part in before:
            self.state, gathered = self.steps.gather(self.state, gathered, *part)
        self.state, _ = self.steps.finish(self.state, gathered, *last, self._tensor(learning_rate))

    def losses(self) -> Mapping[str, float]:
        fresh = self._sums()  # in the order of the heads, which JAX forgets
        found = {
            name: float(numpy(self.state.sums[name])) / self.taken for name in fresh if self.taken
        }
        self.state, self.taken = self.state._replace(sums=fresh), 0
        return found

    def predict(self, x: Array) -> Array:
        return numpy(self.steps.predict(self.state.average or self.state.tensors, self._batch(x)))

    def save(self) -> TrainState:
        state, slots = self.state, dict[str, Array]()
        updates = int(numpy(state.updates))
        if updates:
            for slot, kept in state.slots.items():
                slots |= {
                    slot_name(name, slot): value for name, value in self._neutral(kept).items()
                }
        average = self._neutral(state.average) if updates else {}
        own = {name: numpy(value) for name, value in state.seeds.items()}
        if state.scale:
            own[LOSS_SCALE] = np.array(
                [float(numpy(state.scale[name])) for name in ("factor", "good")]
            )
        return TrainState(self._neutral(state.tensors), slots, average, updates, own)

    def restore(self, state: TrainState) -> None:
        own = {**self._fresh(state.updates), **state.backend_state}
        slots = {
            slot: self._native(
                {
                    name: state.slots.get(slot_name(name, slot), np.zeros(self.shapes[name]))
                    for name in self.settings
                }
            )
            for slot in self.slots
        }
        mean = (state.average or state.tensors) if self.plan.recipe.average != "none" else {}
        scale = {}
        if self.plan.recipe.precision == "float16":
            factor, good = own[LOSS_SCALE].tolist()
            scale = {"factor": self._tensor(factor), "good": self._tensor(good, "int32")}
        seeds = {name: self._tensor(own[name], one.state.dtype) for name, one in self.seeds.items()}
        tensors, updates = self._native(state.tensors), self._tensor(state.updates, "int32")
        self.state = State(tensors, slots, self._native(mean), seeds, self._sums(), updates, scale)
        self.taken = 0

    def _fresh(self, updates: int) -> dict[str, Array]:
        """What is its own where nothing is kept of it: a seed for each layer that draws, others after each number of
        updates, and a count of its draws.
        """
        drawn = np.random.SeedSequence(self.plan.recipe.seed, spawn_key=(updates,))
        seeds = np.random.default_rng(drawn).integers(2**31, size=len(self.seeds))
        return {
            LOSS_SCALE: np.array([2.0**16, 0]),  # that of PyTorch's `GradScaler`
            **{name: np.array([seed, 0]) for name, seed in zip(self.seeds, seeds, strict=True)},
        }

    def _sums(self) -> dict[str, Any]:
        names = [head.name for head in self.plan.graph.heads if head.loss != "none"]
        return {name: self._tensor(0) for name in (*names, "loss")}

    def _neutral(self, tensors: Mapping[str, Any]) -> dict[str, Array]:
        return {
            name: self.natives[name].to_portable(self.shapes[name], numpy(value))
            for name, value in tensors.items()
        }

    def _native(self, tensors: Mapping[str, Array]) -> dict[str, Any]:
        return {
            name: self._tensor(self.natives[name].from_portable(value))
            for name, value in tensors.items()
        }

    def _tensor(self, value: Any, dtype: Any = np.float32) -> Any:
        return self.steps.compiler.tensor(np.asarray(value, dtype))

    def _batch(self, values: Array, dtype: Any = np.float32) -> Any:
        return self.steps.compiler.tensor(np.asarray(values, dtype), batch=True)


def _draws(layer: Any) -> bool:
    return hasattr(layer, "seed_generator")


@contextmanager
def _policy(precision: str) -> Generator[None]:
    """Layers made within compute in that precision, and keep what they learn in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
