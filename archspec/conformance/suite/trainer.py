"""Training: a backend's trainer makes the same updates as the reference trainer.

It runs in the process of the tests, on the engine that the environment chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from archspec._numpy import Array
from archspec.backend import Backend
from archspec.backend.trainer import Trainer, TrainState
from archspec.conformance.compare import compare, compare_all
from archspec.conformance.layers import load_text
from archspec.conformance.recipes import Choice, check_fields, choices, values
from archspec.conformance.training import (
    RECIPES,
    WIDE_NET,
    batches,
    open_trainer,
    reference_trainer,
    training_net,
)
from archspec.diagnostics import Failure
from archspec.ir.document import HeadSection
from archspec.ir.recipe import Recipe
from archspec.reference.loss import loss as loss_of

Opener = Callable[..., Trainer]
"""Opens the backend's trainer for a spec and a recipe, on weights drawn from a seed."""

LOSSES: Sequence[str] = values(HeadSection.model_fields["loss"])
HALF_PRECISIONS = [
    name for name in values(Recipe.model_fields["precision"]) if name != Recipe().precision
]

FAR = """archspec: 1
name: far
input: [3, 6, 6]
network: [batch_norm, flatten, {name: fc, linear: {out: 4}}]
"""


@pytest.fixture
def trainer(backend: Backend, tmp_path: Path) -> Opener:
    if backend.trainer is None:
        pytest.skip(f"the backend {backend.name} has no trainer")
    return partial(open_trainer, backend, tmp_path)


def compare_states(actual: TrainState, expected: TrainState) -> None:
    """Compare all that one backend hands over to another."""
    assert actual.updates == expected.updates
    compare_all(actual.tensors, expected.tensors, what="tensors")
    for part in ("slots", "average"):
        tensors = getattr(actual, part)
        references = getattr(expected, part)
        assert set(tensors) == set(references), part
        for name, value in references.items():  # squares, and means of what differs
            compare(tensors[name], value, bound=2e-5, what=f"{part} {name}")


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_trains_as_is_defined(trainer: Opener, recipe: str) -> None:
    spec = training_net()
    tested = trainer(spec, RECIPES[recipe])
    reference = reference_trainer(spec, RECIPES[recipe])
    for batch in batches(spec):
        tested.step(*batch)
        reference.step(*batch)
    compare_all(tested.losses(), reference.losses(), what="mean losses")
    compare_states(tested.save(), reference.save())
    x, *_ = batches(spec)[0]
    compare(tested.predict(x), reference.predict(x), what="predictions")


def test_every_field_of_the_recipe_is_tried() -> None:
    check_fields()


@pytest.mark.parametrize("choice", choices(), ids=lambda choice: choice.name)
def test_every_choice_changes_what_is_learnt(choice: Choice) -> None:
    """A trainer that ignores a choice differs from the definition by far more than rounding."""
    with_choice, without = (learnt(recipe) for recipe in (choice.recipe, choice.without))
    with pytest.raises(AssertionError, match="differ"):
        compare_all(with_choice, without, bound=1e-3, what="tensors")


def learnt(recipe: Recipe) -> Mapping[str, Array]:
    """Return the reference trainer's last tensors, or their mean if the recipe averages."""
    spec = training_net()
    trainer = reference_trainer(spec, recipe)
    for batch in batches(spec):
        trainer.step(*batch)
    state = trainer.save()
    return state.average or state.tensors


def test_what_is_frozen_is_trained_as_it_is_evaluated(trainer: Opener) -> None:
    """Set running statistics that the batch does not have."""
    import numpy as np

    spec = training_net()
    tested = trainer(spec, Recipe(freeze=("bn.*",)))
    tested.restore(
        TrainState(
            tested.save().tensors
            | {"bn.running_mean": np.full(4, 3.0), "bn.running_var": np.full(4, 0.1)}
        )
    )
    x, y, rate = batches(spec)[0]
    for _ in range(2):
        loss_in_eval, _ = loss_of("cross_entropy", tested.predict(x), y)
        tested.step(x, y, rate)
        compare(tested.losses()["main"], loss_in_eval, what="loss")


def test_batch_norm_is_exact_far_from_zero_and_where_nothing_varies(trainer: Opener) -> None:
    import numpy as np

    spec = load_text(FAR)
    tested = trainer(spec, Recipe())
    reference = reference_trainer(spec, Recipe())
    spread, mean = np.array([0, 0.1, 1]), np.array([30, 100, 1000])
    drawn = mean + spread * np.random.default_rng(0).standard_normal((8, 6, 6, 3))
    x, y = np.moveaxis(drawn, -1, 1).astype(np.float32), np.arange(8) % 4
    for trained in (tested, reference):
        trained.step(x, y, 0.1)
    compare_all(tested.losses(), reference.losses(), bound=1e-3, what="losses")
    compare_all(tested.save().tensors, reference.save().tensors, bound=1e-3, what="tensors")


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("loss", "width"), [*((loss, 4) for loss in LOSSES), ("binary_cross_entropy", 1)]
)
def test_it_has_each_loss(trainer: Opener, loss: str, width: int, smoothing: float) -> None:
    spec, recipe = training_net(loss, width=width), Recipe(label_smoothing=smoothing)
    tested = trainer(spec, recipe)
    reference = reference_trainer(spec, recipe)
    for batch in batches(spec)[:2]:
        tested.step(*batch)
        reference.step(*batch)
        compare_all(tested.losses(), reference.losses(), what="losses")
    compare_states(tested.save(), reference.save())


def test_there_is_nothing_to_remember_before_the_first_step(trainer: Opener) -> None:
    spec = training_net()
    for recipe in (RECIPES["nesterov"], RECIPES["ema"]):
        compare_states(trainer(spec, recipe).save(), reference_trainer(spec, recipe).save())


@pytest.mark.parametrize("recipe", ["nesterov", "ema", "polyak", "frozen"])
def test_it_resumes_bit_for_bit(trainer: Opener, recipe: str) -> None:
    spec = training_net(drop=0.5)
    both = batches(spec)
    whole = trainer(
        spec, RECIPES[recipe]
    )  # opened only now: a framework may have one state of random numbers
    for batch in both:
        whole.step(*batch)
    first = trainer(spec, RECIPES[recipe])
    for batch in both[:2]:
        first.step(*batch)
    standing = first.save()
    first.step(*both[0])  # what was saved does not move with it
    second = trainer(spec, RECIPES[recipe], seed=1)
    second.restore(standing)
    for batch in both[2:]:
        second.step(*batch)
    resumed = second.save()
    uninterrupted = whole.save()
    assert resumed.updates == uninterrupted.updates
    for part in ("tensors", "slots", "average"):
        tensors = getattr(resumed, part)
        references = getattr(uninterrupted, part)
        assert set(tensors) == set(references), part
        assert all((tensors[name] == references[name]).all() for name in tensors), part


@pytest.mark.parametrize("recipe", ["momentum", "ema"])
def test_what_another_saved_it_takes_up(trainer: Opener, recipe: str) -> None:
    spec = training_net()
    tested = trainer(spec, RECIPES[recipe], seed=1)
    reference = reference_trainer(spec, RECIPES[recipe])
    both = batches(spec)
    for batch in both[:2]:
        reference.step(*batch)
    tested.restore(reference.save())
    for batch in both[2:]:
        reference.step(*batch)
        tested.step(*batch)
    compare_states(tested.save(), reference.save())


def test_it_drops_in_training_alone_and_otherwise_in_each_step(trainer: Opener) -> None:
    spec = training_net(drop=0.5)
    tested = trainer(spec, Recipe())
    reference = reference_trainer(spec, Recipe())
    x, y, _ = batches(spec)[0]
    losses: list[float] = []
    for _ in range(3):
        tested.step(x, y, 0.0)
        reference.step(x, y, 0.0)
        losses.append(tested.losses()["main"])
    assert len({*losses}) == 3
    compare(tested.predict(x), reference.predict(x), what="predictions")


@pytest.mark.parametrize("recipe", ["sgd", "clipped", "in parts"])
@pytest.mark.parametrize("precision", HALF_PRECISIONS)
def test_half_precision_learns_nearly_the_same(
    trainer: Opener, precision: str, recipe: str
) -> None:
    spec = training_net()
    try:
        tested = trainer(spec, RECIPES[recipe].model_copy(update={"precision": precision}))
    except Failure as error:
        pytest.skip(error.message)
    reference = reference_trainer(spec, RECIPES[recipe])
    for batch in batches(spec):
        tested.step(*batch)
        reference.step(*batch)
    loss = tested.losses()["loss"]
    exact = reference.losses()["loss"]
    # Equal to more digits, it would not have been computed in half precision.
    assert 1e-7 < abs(loss - exact) < 0.02 * exact
    compare_all(tested.save().tensors, reference.save().tensors, bound=0.1, what="tensors")
    assert all(str(value.dtype) == "float32" for value in tested.save().tensors.values())


@pytest.mark.parametrize("precision", HALF_PRECISIONS)
def test_half_precision_sums_in_single_precision(trainer: Opener, precision: str) -> None:
    """Compare the gradient of every tensor: a sum in half precision soon stops growing."""
    import numpy as np

    spec = load_text(WIDE_NET)
    try:
        tested = trainer(spec, Recipe().model_copy(update={"precision": precision}))
    except Failure as error:
        pytest.skip(error.message)
    rng = np.random.default_rng(0)
    x = (0.5 + rng.standard_normal((32, *spec.graph.input))).astype(np.float32)
    y = rng.integers(0, 5, len(x))
    exact = _gradients(reference_trainer(spec, Recipe()), x, y)
    rounding = {"bfloat16": 2**-8, "float16": 2**-11}[precision]
    for name, gradient in _gradients(tested, x, y).items():
        error = np.linalg.norm(gradient - exact[name]) / np.linalg.norm(exact[name])
        assert error < 8 * rounding, f"the gradient of {name} is off by {error:.2%}"


def _gradients(trainer: Trainer, x: Array, y: Array) -> dict[str, Array]:
    """Return the gradients of a batch: by how much a step at a learning rate of 1 moves each."""
    before = after = trainer.save()
    # Steps whose scaled loss overflows in float16 are left out until the scale has come down.
    for _ in range(20):
        trainer.step(x, y, 1.0)
        after = trainer.save()
        if after.updates:
            break
    return {
        name: value.astype(float) - after.tensors[name] for name, value in before.tensors.items()
    }
