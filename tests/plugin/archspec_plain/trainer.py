"""A built folder that is trained. Gradients are central differences: only for small networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import default_rng

from archspec.backend.optimizer import clip_by_global_norm, update_average, update_rule
from archspec.backend.session import slot_name
from archspec.backend.trainer import TrainerConfig, TrainState, microbatches
from archspec.diagnostics import Failure
from archspec_plain.session import Array, load_model

Tensors = dict[str, Array]
Losses = Callable[[Tensors], Mapping[str, float]]

STEP = 1e-5
"""The step of a central difference, each way."""


class PlainTrainer:
    """Implements `archspec.backend.trainer.Trainer`: tensors in float32, computed in float64."""

    device = "numpy"

    def __init__(self, folder: Path, config: TrainerConfig) -> None:
        if config.recipe.precision != "float32":
            message = f"numpy does not train in {config.recipe.precision}"
            raise Failure(message, "--set train.precision=float32")
        self.config, self.param_groups = config, config.param_groups
        self.rule, self.frozen = update_rule(config.recipe), config.frozen_batch_norms
        self.model, self.sums, self.steps = load_model(folder), dict[str, float](), 0
        self.restore(TrainState(self.model.tensors))

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        recipe, update = self.config.recipe, self.train_state.updates + 1
        tensors, slots = self._double(self.train_state.tensors), dict(self.train_state.slots)
        gradients = {name: np.zeros_like(tensors[name]) for name in self.param_groups}
        for number, part in enumerate(microbatches(len(x), recipe.accumulate)):
            share, seed = len(x[part]) / len(x), [recipe.seed, update, number]
            losses = partial(self._losses, x=x[part], y=y[part], seed=seed)
            for name, gradient in gradients.items():
                gradient += share * _derivative(losses, tensors, name)
            # This updates the running statistics among the tensors, too.
            for name, value in losses(tensors).items():
                self.sums[name] = self.sums.get(name, 0.0) + share * value
        self.steps += 1
        gradients = clip_by_global_norm(gradients, recipe.clip_norm)
        for name, group in self.param_groups.items():
            keys = {slot: slot_name(name, slot) for slot in self.rule.slots}
            tensors[name], tensor_slots = self.rule.step(
                tensors[name],
                gradients[name],
                {slot: slots[key] for slot, key in keys.items() if key in slots},
                learning_rate=learning_rate * group.lr_multiplier,
                weight_decay=group.weight_decay,
                update=update,
            )
            slots |= {keys[slot]: value for slot, value in tensor_slots.items()}
        average = update_average(recipe, self.train_state.average, tensors, update)
        self.train_state = TrainState(_single(tensors), _single(slots), _single(average), update)

    def losses(self) -> Mapping[str, float]:
        means = {name: value / self.steps for name, value in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means

    def predict(self, x: Array) -> Array:
        self.model.tensors = self.train_state.average or self.train_state.tensors
        return self.model(x)

    def save(self) -> TrainState:
        return self.train_state

    def restore(self, state: TrainState) -> None:
        self.train_state = state

    def _losses(self, tensors: Tensors, x: Array, y: Array, seed: list[int]) -> Mapping[str, float]:
        """Return the losses by head, and `loss`; the seed alone decides what is dropped."""
        self.model.tensors = tensors
        values = self.model.values(x.astype(np.float64), train=True, rng=default_rng(seed))
        losses: dict[str, float] = {}
        total = 0.0
        for head in self.config.graph.heads:
            if head.loss != "none":
                output = values[self.config.graph.nodes[head.node].path]
                losses[head.name] = loss(head.loss, output, y, self.config.recipe.label_smoothing)
                total += head.weight * losses[head.name]
        return losses | {"loss": total}

    def _double(self, tensors: Mapping[str, Array]) -> Tensors:
        """Return the tensors in float64, frozen statistics read-only: batch norm leaves these."""
        doubles = {name: value.astype(np.float64) for name, value in tensors.items()}
        for name, node, _ in self.config.graph.parameters():
            doubles[name].flags.writeable = node.path not in self.frozen
        return doubles


def _single(tensors: Mapping[str, Array]) -> Tensors:
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def _derivative(losses: Losses, tensors: Tensors, name: str) -> Array:
    """Return the derivative of the loss with respect to a tensor."""
    derivative = np.zeros_like(tensors[name])
    for index in np.ndindex(derivative.shape):
        for step in (STEP, -STEP):
            shifted = tensors[name].copy()
            shifted[index] += step
            derivative[index] += losses(tensors | {name: shifted})["loss"] / (2 * step)
    return derivative


def loss(kind: str, output: Array, labels: Array, smoothing: float) -> float:
    """Return the mean loss of a batch of outputs [N, C, ...] with labels [N, ...]."""
    if kind == "mse":
        return float(((output - labels) ** 2).mean())
    classes, binary = output.shape[1], kind == "binary_cross_entropy"
    single = binary and classes == 1
    exact = labels.reshape(output.shape) if single else np.moveaxis(np.eye(classes)[labels], -1, 1)
    target = (1 - smoothing) * exact + smoothing * (1 / 2 if binary else 1 / classes)
    if binary:
        logs = np.logaddexp(0, output)
    else:
        logs = np.logaddexp.reduce(output, axis=1, keepdims=True) * target
    return float((logs - output * target).sum(axis=1).mean())
