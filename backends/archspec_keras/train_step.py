"""A training step as a pure function of a state, compiled where the engine compiles."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras is typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, NamedTuple

import keras
from keras import ops

from archspec.backend.trainer import TrainerConfig
from archspec_keras.jit import Tensors, jit
from archspec_keras.loss import head_loss
from archspec_keras.optimizer import clip_by_global_norm, update_average, update_function

SCALE_GROWTH_INTERVAL = 2000
"""Steps without overflow before float16's loss scale doubles, as in `torch.amp.GradScaler`."""


class StepState(NamedTuple):
    """Everything that a step changes, by portable name; tensors have Keras's layout."""

    tensors: Tensors
    slots: dict[str, Tensors]
    """By slot, and then by tensor."""
    average: Tensors
    seeds: Tensors
    loss_sums: Tensors
    updates: Any
    """The number of updates; a step that overflows in float16 is not counted."""
    scale: Tensors
    """In float16 the factor on the loss, and the steps since it last overflowed; else empty."""


class TrainStep:
    """The steps of a model.

    `variables` are the model's by portable name, and `seeds` those of its random generators.
    """

    def __init__(
        self,
        model: Any,
        variables: Mapping[str, Any],
        seeds: Mapping[str, Any],
        config: TrainerConfig,
    ) -> None:
        self.model = model
        self.variables = variables
        self.seeds = seeds
        self.config = config
        main = config.graph.heads[0].name
        self.inference: Any = keras.Model(model.inputs, model.output[main])
        self.param_groups = config.param_groups
        self.update_function = update_function(config.recipe)
        statistics = {name for name, _, param in config.graph.parameters() if not param.trainable}
        self.running_stats = [name for name in variables if name in statistics]
        self.jit = jit(config)
        self.accumulate = self.jit.compiled(self._accumulate, donate_state=True)
        self.update = self.jit.compiled(self._update, donate_state=True)
        self.predict = self.jit.compiled(self._predict)

    def _accumulate(
        self, state: StepState, accumulated: Tensors, x: Any, y: Any, share: Any
    ) -> tuple[StepState, Tensors]:
        """Add the gradients of a microbatch, times its share of the batch, to `accumulated`."""

        def loss(trained: Tensors) -> tuple[Any, Any]:
            with self._substituted(state.tensors | trained, state.seeds) as scope:
                outputs = self.model(ops.moveaxis(x, 1, -1), training=True)
            losses = self._losses(outputs, y, share)
            running_stats = {
                name: scope.get_current_value(self.variables[name]) for name in self.running_stats
            }
            seeds = {
                name: scope.get_current_value(variable) for name, variable in self.seeds.items()
            }
            scaled = losses["loss"] * state.scale.get("factor", 1.0)
            return scaled, (losses, running_stats, seeds)

        trained = {name: state.tensors[name] for name in self.param_groups}
        gradients, (losses, running_stats, seeds) = self.jit.gradients(loss, trained)
        if accumulated:
            gradients = {name: accumulated[name] + g for name, g in gradients.items()}
        loss_sums = {name: state.loss_sums[name] + value for name, value in losses.items()}
        tensors = state.tensors | running_stats
        return state._replace(tensors=tensors, seeds=seeds, loss_sums=loss_sums), gradients

    def _update(
        self, state: StepState, accumulated: Tensors, x: Any, y: Any, share: Any, learning_rate: Any
    ) -> tuple[StepState, Tensors]:
        """Process the last microbatch and update the tensors; no gradients are left over."""
        state, gradients = self._accumulate(state, accumulated, x, y, share)
        if not state.scale:
            return self._updated(state, gradients, learning_rate), {}
        gradients = {name: g / state.scale["factor"] for name, g in gradients.items()}
        all_finite = (ops.all(ops.isfinite(g)) for g in gradients.values())
        finite = reduce(ops.logical_and, all_finite, True)
        updated = self._updated(state, gradients, learning_rate)
        chosen = _select(finite, updated, state)
        return chosen._replace(scale=_rescaled(state.scale, finite)), {}

    def _updated(self, state: StepState, gradients: Tensors, learning_rate: Any) -> StepState:
        recipe = self.config.recipe
        updates = state.updates + 1
        update = ops.cast(updates, "float32")
        gradients = clip_by_global_norm(gradients, recipe.clip_norm)
        tensors = dict(state.tensors)
        slots = {slot: dict(values) for slot, values in state.slots.items()}
        # One product for each multiplier, not for each tensor, keeps the compiled program small.
        multipliers = {group.lr_multiplier for group in self.param_groups.values()}
        learning_rates = {factor: learning_rate * factor for factor in multipliers}
        for name, group in self.param_groups.items():
            tensors[name], new_slots = self.update_function(
                tensors[name],
                gradients[name],
                {slot: values[name] for slot, values in slots.items()},
                learning_rates[group.lr_multiplier],
                group.weight_decay,
                update,
            )
            for slot, value in new_slots.items():
                slots[slot][name] = value
        average = update_average(recipe, state.average, tensors, update)
        return state._replace(tensors=tensors, slots=slots, average=average, updates=updates)

    def _predict(self, tensors: Tensors, x: Any) -> Any:
        with self._substituted(tensors, {}):
            output = self.inference(ops.moveaxis(x, 1, -1), training=False)
        return ops.moveaxis(ops.cast(output, "float32"), -1, 1)

    def _losses(self, outputs: Mapping[str, Any], y: Any, share: Any) -> Tensors:
        """Return the losses by head and their weighted sum `loss`, each times the share."""
        smoothing = self.config.recipe.label_smoothing
        losses: Tensors = {}
        total = 0.0 * share
        for head in self.config.graph.heads:
            if head.loss != "none":
                output = ops.cast(outputs[head.name], "float32")
                losses[head.name] = share * head_loss(head.loss, output, y, smoothing)
                total = total + head.weight * losses[head.name]
        return losses | {"loss": total}

    def _substituted(self, tensors: Tensors, seeds: Tensors) -> keras.StatelessScope:
        """Return a scope in which the model reads these values; its variables are not touched."""
        values = [(variable, tensors[name]) for name, variable in self.variables.items()]
        values += [(self.seeds[name], value) for name, value in seeds.items()]
        return keras.StatelessScope(values)


def _select(condition: Any, state: StepState, otherwise: StepState) -> StepState:
    def select(new: Any, old: Any) -> Any:
        return ops.where(condition, new, old)

    selected: Any = keras.tree.map_structure(select, state, otherwise)
    return selected


def _rescaled(scale: Tensors, finite: Any) -> Tensors:
    """Halve the factor after an overflow; double it after `SCALE_GROWTH_INTERVAL` finite steps."""
    factor = scale["factor"]
    good = scale["good"] + 1
    grown = ops.where(good == SCALE_GROWTH_INTERVAL, 2 * factor, factor)
    return {
        "factor": ops.where(finite, grown, factor / 2),
        "good": ops.where(finite, good % SCALE_GROWTH_INTERVAL, 0),
    }
