"""A step of training as a pure function of a state, the same on every engine, and compiled as the engine can."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
# Keras is typed in part alone.

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, NamedTuple

import keras
from keras import ops

from archspec.backend.trainer import TrainerConfig
from archspec_keras.jit import Tensors, compiler
from archspec_keras.optimizer import averaged, clipped, head_loss, rule

GROWTH = 2000
"""After so many steps without an overflow the scale of a loss in float16 is doubled, as PyTorch's `GradScaler` does."""


class State(NamedTuple):
    """All that a step moves, by neutral names; tensors are laid out as Keras has them."""

    tensors: Tensors
    slots: dict[str, Tensors]
    """By what is remembered, and then by tensor."""
    average: Tensors
    seeds: Tensors
    sums: Tensors
    updates: Any
    """How many there were; one that overflows in float16 is left out."""
    scale: Tensors
    """In float16 what the loss is multiplied by, and for how many steps that did not overflow; else empty."""


class Steps:
    """The steps of a model; `variables` are its own by neutral name, and `seeds` those of its random numbers."""

    def __init__(
        self,
        model: Any,
        variables: Mapping[str, Any],
        seeds: Mapping[str, Any],
        plan: TrainerConfig,
    ) -> None:
        self.model, self.variables, self.seeds, self.plan = model, variables, seeds, plan
        self.inference: Any = keras.Model(model.inputs, model.output[plan.graph.heads[0].name])
        self.settings, self.rule = plan.param_groups, rule(plan.recipe)
        moving = {name for name, _, param in plan.graph.parameters() if not param.trainable}
        self.moving = [name for name in variables if name in moving]
        self.compiler = compiler(plan)
        self.gather = self.compiler.compiled(self._gather, consumes=True)
        self.finish = self.compiler.compiled(self._finish, consumes=True)
        self.predict = self.compiler.compiled(self._predict)

    def _gather(
        self, state: State, gathered: Tensors, x: Any, y: Any, share: Any
    ) -> tuple[State, Tensors]:
        """A part of a batch, with its share in it: the gradients, added to those of the parts before."""

        def loss(trained: Tensors) -> tuple[Any, Any]:
            with self._filled(state.tensors | trained, state.seeds) as scope:
                outputs = self.model(ops.moveaxis(x, 1, -1), training=True)
            losses = self._losses(outputs, y, share)
            moved = {name: scope.get_current_value(self.variables[name]) for name in self.moving}
            seeds = {
                name: scope.get_current_value(variable) for name, variable in self.seeds.items()
            }
            return losses["loss"] * state.scale.get("factor", 1.0), (losses, moved, seeds)

        trained = {name: state.tensors[name] for name in self.settings}
        slopes, (losses, moved, seeds) = self.compiler.slopes(loss, trained)
        sums = {name: state.sums[name] + value for name, value in losses.items()}
        total = {
            name: gathered[name] + slope if gathered else slope for name, slope in slopes.items()
        }
        return state._replace(tensors=state.tensors | moved, seeds=seeds, sums=sums), total

    def _finish(
        self, state: State, gathered: Tensors, x: Any, y: Any, share: Any, rate: Any
    ) -> tuple[State, Tensors]:
        """The last part of a batch, and the update, after which nothing is gathered."""
        state, gradients = self._gather(state, gathered, x, y, share)
        if not state.scale:
            return self._updated(state, gradients, rate), {}
        gradients = {name: g / state.scale["factor"] for name, g in gradients.items()}
        fine = reduce(ops.logical_and, (ops.all(ops.isfinite(g)) for g in gradients.values()), True)
        moved = self._updated(state, gradients, rate)
        return _chosen(fine, moved, state)._replace(scale=_rescaled(state.scale, fine)), {}

    def _updated(self, state: State, gradients: Tensors, rate: Any) -> State:
        recipe, updates = self.plan.recipe, state.updates + 1
        update = ops.cast(updates, "float32")
        gradients = clipped(gradients, recipe.clip_norm)
        tensors, slots = (
            dict(state.tensors),
            {slot: dict(kept) for slot, kept in state.slots.items()},
        )
        rates = {
            factor: rate * factor
            for factor in {setting.lr_multiplier for setting in self.settings.values()}
        }
        for name, setting in self.settings.items():
            own = {slot: kept[name] for slot, kept in slots.items()}
            tensors[name], own = self.rule(
                tensors[name],
                gradients[name],
                own,
                rates[setting.lr_multiplier],
                setting.weight_decay,
                update,
            )
            for slot, value in own.items():
                slots[slot][name] = value
        average = averaged(recipe, state.average, tensors, update)
        return state._replace(tensors=tensors, slots=slots, average=average, updates=updates)

    def _predict(self, tensors: Tensors, x: Any) -> Any:
        with self._filled(tensors, {}):
            output = self.inference(ops.moveaxis(x, 1, -1), training=False)
        return ops.moveaxis(ops.cast(output, "float32"), -1, 1)

    def _losses(self, outputs: Mapping[str, Any], y: Any, share: Any) -> Tensors:
        """By head, and their weighted sum `loss`: a part's share of the batch's."""
        smoothing, heads = self.plan.recipe.label_smoothing, self.plan.graph.heads
        found = {
            head.name: share
            * head_loss(head.loss, ops.cast(outputs[head.name], "float32"), y, smoothing)
            for head in heads
            if head.loss != "none"
        }
        total = sum(
            (head.weight * found[head.name] for head in heads if head.name in found), 0.0 * share
        )
        return found | {"loss": total}

    def _filled(self, tensors: Tensors, seeds: Tensors) -> keras.StatelessScope:
        """The model's variables stand for these values within, and are not touched."""
        pairs = [(variable, tensors[name]) for name, variable in self.variables.items()]
        return keras.StatelessScope(
            [*pairs, *((self.seeds[name], value) for name, value in seeds.items())]
        )


def _chosen(fine: Any, state: State, otherwise: State) -> State:
    def either(new: Any, old: Any) -> Any:
        return ops.where(fine, new, old)

    found: Any = keras.tree.map_structure(either, state, otherwise)
    return found


def _rescaled(scale: Tensors, fine: Any) -> Tensors:
    """Half of it after an overflow, twice after `GROWTH` steps without one."""
    factor, good = scale["factor"], scale["good"] + 1
    grown = ops.where(good == GROWTH, 2 * factor, factor)
    return {"factor": ops.where(fine, grown, factor / 2), "good": ops.where(fine, good % GROWTH, 0)}
