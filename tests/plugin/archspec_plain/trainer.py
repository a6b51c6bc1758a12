"""A built folder that learns. Numpy differentiates nothing: gradients are central differences, for small networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from archspec.backend.optimizer import clip_by_global_norm, update_average, update_rule
from archspec.backend.session import slot_name
from archspec.backend.trainer import TrainerConfig, TrainState, microbatches
from archspec.diagnostics import Failure
from archspec_plain.session import load

Array = NDArray[Any]
Tensors = dict[str, Array]

AWAY = 1e-5
"""How far a number is moved each way to see what the loss makes of it."""


class PlainTrainer:
    """Implements `archspec.backend.trainer.Trainer`: keeps tensors in float32, and computes in float64."""

    device = "numpy"

    def __init__(self, folder: Path, plan: TrainerConfig) -> None:
        if plan.recipe.precision != "float32":
            raise Failure(
                f"numpy does not train in {plan.recipe.precision}", "--set train.precision=float32"
            )
        self.plan, self.settings, self.rule, self.still = (
            plan,
            plan.param_groups,
            update_rule(plan.recipe),
            plan.frozen_batch_norms,
        )
        self.heads = [head for head in plan.graph.heads if head.loss != "none"]
        self.model, self.sums, self.steps = load(folder), dict[str, float](), 0
        self.restore(TrainState(self.model.tensors))

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        recipe, update = self.plan.recipe, self.standing.updates + 1
        tensors, slots = self._double(self.standing.tensors), dict(self.standing.slots)
        gradients = {name: np.zeros_like(tensors[name]) for name in self.settings}
        for number, part in enumerate(microbatches(len(x), recipe.accumulate)):
            share, drawn = len(x[part]) / len(x), [recipe.seed, update, number]
            losses = partial(self._losses, x=x[part], y=y[part], drawn=drawn)
            for name, gradient in gradients.items():
                gradient += share * _slope(losses, tensors, name)
            for name, value in losses(
                tensors
            ).items():  # which moves the statistics among the tensors
                self.sums[name] = self.sums.get(name, 0.0) + share * value
        self.steps += 1
        gradients = clip_by_global_norm(gradients, recipe.clip_norm)
        for name, setting in self.settings.items():
            keys = {slot: slot_name(name, slot) for slot in self.rule.slots}
            own = {slot: slots[key] for slot, key in keys.items() if key in slots}
            tensors[name], own = self.rule.step(
                tensors[name],
                gradients[name],
                own,
                rate=learning_rate * setting.lr_multiplier,
                decay=setting.weight_decay,
                update=update,
            )
            slots |= {keys[slot]: value for slot, value in own.items()}
        average = update_average(recipe, self.standing.average, tensors, update)
        self.standing = TrainState(_single(tensors), _single(slots), _single(average), update)

    def losses(self) -> Mapping[str, float]:
        found = {name: value / self.steps for name, value in self.sums.items()}
        self.sums, self.steps = {}, 0
        return found

    def predict(self, x: Array) -> Array:
        self.model.tensors = self.standing.average or self.standing.tensors
        return self.model(x)

    def save(self) -> TrainState:
        return self.standing

    def restore(self, state: TrainState) -> None:
        self.standing = state

    def _losses(
        self, tensors: Tensors, x: Array, y: Array, drawn: list[int]
    ) -> Mapping[str, float]:
        """By head, and `loss`; what is dropped depends on the numbers drawn by, and on nothing else."""
        self.model.tensors = tensors
        values = self.model.values(x.astype(np.float64), train=True, rng=default_rng(drawn))
        nodes, smoothing = self.plan.graph.nodes, self.plan.recipe.label_smoothing
        found = {
            head.name: loss(head.loss, values[nodes[head.node].path], y, smoothing)
            for head in self.heads
        }
        return found | {"loss": sum(head.weight * found[head.name] for head in self.heads)}

    def _double(self, tensors: Mapping[str, Array]) -> Tensors:
        """In float64; statistics that are frozen are read-only, which batch norm takes as word to keep them."""
        found = {name: value.astype(np.float64) for name, value in tensors.items()}
        for name, node, _ in self.plan.graph.parameters():
            found[name].flags.writeable = node.path not in self.still
        return found


def _single(tensors: Mapping[str, Array]) -> Tensors:
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def _slope(losses: Callable[[Tensors], Mapping[str, float]], tensors: Tensors, name: str) -> Array:
    """The derivative of the loss with respect to a tensor."""
    found = np.empty_like(tensors[name])
    for at in np.ndindex(found.shape):
        ends: list[float] = []
        for away in (AWAY, -AWAY):
            moved = tensors[name].copy()
            moved[at] += away
            ends.append(losses(tensors | {name: moved})["loss"])
        found[at] = (ends[0] - ends[1]) / (2 * AWAY)
    return found


def loss(kind: str, output: Array, labels: Array, smoothing: float) -> float:
    """The mean over a batch of outputs [N, C, ...], whose labels are [N, ...]."""
    if kind == "mse":
        return float(((output - labels) ** 2).mean())
    classes, binary = output.shape[1], kind == "binary_cross_entropy"
    single = binary and classes == 1
    exact = labels.reshape(output.shape) if single else np.moveaxis(np.eye(classes)[labels], -1, 1)
    wanted = (1 - smoothing) * exact + smoothing * (1 / 2 if binary else 1 / classes)
    logs = (
        np.logaddexp(0, output)
        if binary
        else np.logaddexp.reduce(output, axis=1, keepdims=True) * wanted
    )
    return float((logs - output * wanted).sum(axis=1).mean())
