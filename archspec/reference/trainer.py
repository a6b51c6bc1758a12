"""The trainer that defines training, against which a backend's trainer is checked.

>>> import archspec, numpy as np
>>> from archspec.backend.trainer import TrainerConfig
>>> from archspec.ir.recipe import Recipe
>>> from archspec.weights.init import initial_tensors
>>> spec = archspec.load("lenet5")
>>> config = TrainerConfig(spec.graph, Recipe(learning_rate=0.1))
>>> trainer = ReferenceTrainer(config, initial_tensors(spec.graph, seed=0))
>>> x, y = np.random.default_rng(0).standard_normal((8, *spec.graph.input)), np.arange(8)
>>> seen = []
>>> for _ in range(2):
...     trainer.step(x, y, learning_rate=0.1)
...     seen.append(trainer.losses()["loss"])
>>> seen[1] < seen[0]
True
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from archspec._numpy import Array, np
from archspec.backend.optimizer import clip_by_global_norm, update_average, update_rule
from archspec.backend.session import SessionState, slot_name
from archspec.backend.trainer import TrainerConfig, TrainState, microbatches
from archspec.reference.loss import loss
from archspec.reference.session import ReferenceSession


class ReferenceTrainer:
    """Implements `archspec.backend.trainer.Trainer`, with dropout off."""

    device = "numpy, float64"

    def __init__(self, plan: TrainerConfig, tensors: Mapping[str, Array]) -> None:
        self.config, self.param_groups = plan, plan.param_groups
        self.rule = update_rule(plan.recipe)
        self.session = ReferenceSession(
            plan.graph, tensors, frozen_batch_norms=plan.frozen_batch_norms
        )
        self.train_state = TrainState(self.session.state().tensors)
        self.sums: dict[str, float] = {}
        self.steps = 0

    def step(self, x: Array, y: Array, learning_rate: float, size: int | None = None) -> None:
        assert size in (None, len(x)), "it has no group"
        recipe, before = self.config.recipe, self.train_state
        self.steps += 1
        gradients = {name: np.zeros_like(before.tensors[name]) for name in self.param_groups}
        for part in microbatches(len(x), recipe.accumulate):
            pull = partial(self._pull, y=y[part], share=len(x[part]) / len(x))
            part_gradients = self.session.gradients(x[part], pull).tensors
            gradients = {name: total + part_gradients[name] for name, total in gradients.items()}
        gradients = clip_by_global_norm(gradients, recipe.clip_norm)
        tensors = self.session.state().tensors
        slots, update = dict(before.slots), before.updates + 1
        for name, setting in self.param_groups.items():
            names = {slot: slot_name(name, slot) for slot in self.rule.slots}
            own_slots = {slot: slots[key] for slot, key in names.items() if key in slots}
            tensors[name], own_slots = self.rule.step(
                tensors[name],
                gradients[name],
                own_slots,
                learning_rate=learning_rate * setting.lr_multiplier,
                weight_decay=setting.weight_decay,
                update=update,
            )
            slots |= {names[slot]: value for slot, value in own_slots.items()}
        self.session.restore(SessionState(tensors))
        self.train_state = TrainState(
            tensors, slots, update_average(recipe, before.average, tensors, update), update
        )

    def _pull(self, outputs: Mapping[str, Array], y: Array, share: float) -> dict[str, Array]:
        """Return a microbatch's cotangents, scaled by its share, and add up its losses."""
        cotangents: dict[str, Array] = {}
        for head in self.config.graph.heads:
            if head.loss == "none":
                continue
            value, slope = loss(
                head.loss, outputs[head.name], y, self.config.recipe.label_smoothing
            )
            cotangents[head.name] = share * head.weight * slope
            for name, amount in ((head.name, value), ("loss", head.weight * value)):
                self.sums[name] = self.sums.get(name, 0.0) + share * amount
        return cotangents

    def losses(self) -> dict[str, float]:
        means = {name: value / self.steps for name, value in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means

    def predict(self, x: Array) -> Array:
        state = self.train_state
        session = ReferenceSession(self.config.graph, state.average or state.tensors)
        return session.forward(x).outputs[self.config.graph.heads[0].name]

    def save(self) -> TrainState:
        return self.train_state

    def restore(self, state: TrainState) -> None:
        self.train_state = state
        self.session.restore(SessionState(dict(state.tensors)))
