"""The suite's trainer tests fail for a trainer that leaves something out or does it differently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from archspec.backend.trainer import Trainer, TrainerConfig, TrainState
from archspec.conformance.suite import trainer as suite
from archspec.conformance.training import COMBINATIONS
from archspec.frontend.loader import Spec
from archspec.ir.recipe import Recipe
from archspec.reference.trainer import ReferenceTrainer
from archspec.weights.init import initial_tensors

Opener = Callable[..., Trainer]


def opener(kind: type[ReferenceTrainer] = ReferenceTrainer, **instead: Any) -> Opener:
    """Opens such trainers, which take these fields of the recipe to have these values."""

    def opened(spec: Spec, recipe: Recipe, seed: int = 0) -> Trainer:
        return kind(
            TrainerConfig(spec.graph, recipe.model_copy(update=instead)),
            initial_tensors(spec.graph, seed),
        )

    return opened


@pytest.mark.parametrize("recipe", COMBINATIONS)
def test_the_definition_itself_passes(recipe: str) -> None:
    suite.test_it_trains_as_is_defined(opener(), recipe)
    suite.test_it_resumes_bit_for_bit(opener(), recipe)
    suite.test_what_another_saved_it_takes_up(opener(), recipe)


@pytest.mark.parametrize(
    ("recipe", "instead"),
    [
        ("momentum", {"momentum": -0.9}),
        ("momentum", {"momentum": 0.0}),
        ("momentum", {"weight_decay": 0.0}),
        ("nesterov", {"nesterov": False}),
        ("nesterov", {"no_decay": ()}),
        ("adamw", {"weight_decay": 0.0}),
        ("adamw", {"no_decay": ()}),
        ("adamw", {"no_decay": ("norm",)}),
        ("adamw, other fields", {"betas": (0.9, 0.999)}),
        ("adamw, other fields", {"betas": (0.7, 0.5)}),
        ("adamw, other fields", {"eps": 1e-8}),
        ("clipped", {"clip_norm": None}),
        ("clipped", {"label_smoothing": 0.0}),
        ("in parts", {"accumulate": 1}),
        ("polyak", {"average": "none"}),
        ("polyak", {"average": "ema"}),
        ("ema", {"average": "polyak"}),
        ("ema", {"ema_decay": 0.999}),
        ("frozen", {"freeze": ()}),
        ("frozen", {"freeze": ("one.*",)}),
        ("frozen", {"freeze": ("one.*", "bn.running_*")}),
        ("frozen", {"lr_multipliers": {}}),
        ("frozen", {"lr_multipliers": {"two.*": 3.0}}),
    ],
)
def test_another_recipe_is_seen(recipe: str, instead: Mapping[str, Any]) -> None:
    with pytest.raises(AssertionError):
        suite.test_it_trains_as_is_defined(opener(**instead), recipe)


class Unweighted(ReferenceTrainer):
    """All heads count alike."""

    def __init__(self, plan: TrainerConfig, tensors: Any) -> None:
        heads = tuple(replace(head, weight=1.0) for head in plan.graph.heads)
        super().__init__(replace(plan, graph=replace(plan.graph, heads=heads)), tensors)


class Summing(ReferenceTrainer):
    """Losses are sums since the start."""

    def losses(self) -> dict[str, float]:
        return dict(self.sums)


class Unaveraged(ReferenceTrainer):
    """Predictions are by the last tensors."""

    def predict(self, x: Any) -> Any:
        kept, self.train_state = self.train_state, replace(self.train_state, average={})
        try:
            return super().predict(x)
        finally:
            self.train_state = kept


class Unfrozen(ReferenceTrainer):
    """Statistics stay where they are frozen, and those of the batch are used."""

    def __init__(self, plan: TrainerConfig, tensors: Any) -> None:
        super().__init__(plan, tensors)
        self.session.frozen_batch_norms = ()


class Eager(ReferenceTrainer):
    """Slots are there before the first step."""

    def save(self) -> TrainState:
        return (
            super().save()
            if self.steps
            else replace(super().save(), slots={"one.weight@momentum": 0})
        )


def forgetting(**parts: Any) -> type[ReferenceTrainer]:
    """It takes these parts of where it stood to be these."""

    class Forgetting(ReferenceTrainer):
        def restore(self, state: TrainState) -> None:
            super().restore(replace(state, **parts))

    return Forgetting


def moving(part: str) -> type[ReferenceTrainer]:
    """A trainer whose saved state moves with it."""

    class Moving(ReferenceTrainer):
        def step(self, x: Any, y: Any, learning_rate: float, size: int | None = None) -> None:
            before = getattr(self.train_state, part)
            super().step(x, y, learning_rate, size)
            before |= getattr(self.train_state, part)

    return Moving


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Unweighted, lambda opened: suite.test_it_trains_as_is_defined(opened, "sgd")),
        (Summing, lambda opened: suite.test_it_trains_as_is_defined(opened, "sgd")),
        (Summing, lambda opened: suite.test_it_has_each_loss(opened, "cross_entropy", 4, 0.0)),
        (Unaveraged, lambda opened: suite.test_it_trains_as_is_defined(opened, "polyak")),
        (Unfrozen, suite.test_what_is_frozen_is_trained_as_it_is_evaluated),
        (Eager, suite.test_there_is_nothing_to_remember_before_the_first_step),
        (
            ReferenceTrainer,
            suite.test_it_drops_in_training_alone_and_otherwise_in_each_step,
        ),  # it never drops
        (
            ReferenceTrainer,
            lambda opened: suite.test_half_precision_learns_nearly_the_same(
                opened, "float16", "sgd"
            ),
        ),
    ],
)
def test_another_way_is_seen(kind: type[ReferenceTrainer], test: Callable[[Opener], None]) -> None:
    with pytest.raises(AssertionError):
        test(opener(kind))


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [
        (forgetting(slots={}), "nesterov"),
        (forgetting(slots={}), "ema"),
        (forgetting(average={}, updates=0), "polyak"),
        (forgetting(updates=7), "ema"),
        (moving("tensors"), "nesterov"),
        (moving("slots"), "nesterov"),
        (moving("average"), "ema"),
    ],
)
def test_what_is_lost_on_the_way_is_seen(kind: type[ReferenceTrainer], recipe: str) -> None:
    with pytest.raises(AssertionError):
        suite.test_it_resumes_bit_for_bit(opener(kind), recipe)


@pytest.mark.parametrize(
    ("loss", "width", "smoothing"),
    [("cross_entropy", 4, 0.2), ("binary_cross_entropy", 4, 0.2), ("binary_cross_entropy", 1, 0.2)],
)
def test_labels_that_are_smoothed_otherwise_are_seen(
    loss: str, width: int, smoothing: float
) -> None:
    with pytest.raises(AssertionError):
        suite.test_it_has_each_loss(opener(label_smoothing=smoothing / 2), loss, width, smoothing)
