"""A choice added to the recipe and its definition alone makes the suite fail on every backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import create_model

from archspec.backend import load
from archspec.backend.optimizer import update_rule
from archspec.conformance.recipes import Choice, check_fields, choices
from archspec.conformance.suite import trainer as suite
from archspec.conformance.training import open_trainer
from archspec.ir.recipe import Recipe

DEFINITION = ("archspec.reference.trainer", "archspec_keras.trainer", "archspec_keras.optimizer")
"""Who asks for the definition of an update rule."""


class SignDescent:
    """Steps of one length: the sign of the gradient alone says where to."""

    slots: tuple[str, ...] = ()

    def step(
        self,
        tensor: Any,
        gradient: Any,
        slots: Any,
        *,
        learning_rate: float,
        weight_decay: float,
        update: int,
    ) -> tuple[Any, dict[str, Any]]:
        return tensor - learning_rate * np.sign(gradient + weight_decay * tensor), {}


def extended(**fields: Any) -> type[Recipe]:
    """The recipe with further fields, or with other values for some."""
    added: Any = create_model("Extended", __base__=Recipe, **fields)
    return added


@pytest.fixture
def sign_descent(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Choice]:
    """The choices once an optimizer was added to the recipe and its definition."""

    def rule(recipe: Any) -> Any:
        return SignDescent() if recipe.optimizer == "sign" else update_rule(recipe)

    for module in DEFINITION:
        monkeypatch.setattr(f"{module}.update_rule", rule)
    kind = extended(optimizer=(Literal["sgd", "adamw", "sign"], "sgd"))
    found = {choice.name: choice for choice in choices(kind)}
    recipes = {name: choice.recipe for name, choice in found.items()}
    monkeypatch.setattr(suite, "RECIPES", recipes)
    return found


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_an_optimizer_that_a_backend_does_not_know_is_seen(
    backend: str, sign_descent: Mapping[str, Choice], tmp_path: Path
) -> None:
    names = [name for name in sign_descent if "optimizer=sign" in name]
    assert {"optimizer=sign", "weight_decay=0.7, optimizer=sign"} <= set(names)
    suite.test_every_choice_changes_what_is_learnt(sign_descent["optimizer=sign"])
    trainer = partial(open_trainer, load(backend), tmp_path)
    # Torch trains by SGD in its place; Keras has no function for it.
    with pytest.raises((AssertionError, TypeError)):
        suite.test_it_trains_as_is_defined(trainer, "optimizer=sign")


def test_every_field_of_the_recipe_is_tried() -> None:
    check_fields()
    tried = {choice.field for choice in choices()}
    assert {"optimizer", "nesterov", "betas", "no_decay", "clip_norm", "freeze"} <= tried


def test_a_field_that_the_definition_does_not_read_is_seen() -> None:
    kind = extended(warm_restarts=(bool, False))
    check_fields(kind)
    (choice,) = (c for c in choices(kind) if c.name == "warm_restarts=True")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_every_choice_changes_what_is_learnt(choice)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ((str, ""), "'added': .*str.* give it some in EXAMPLES"),
        ((Literal["only"], "only"), "'added' has no value besides its default"),
    ],
)
def test_a_field_without_values_is_told(field: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_fields(extended(added=field))


def test_a_field_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suite.values.__globals__["EXAMPLES"], "gone", [1])  # pyright: ignore
    with pytest.raises(AssertionError, match="the recipe has no field 'gone' any more"):
        check_fields()


def test_a_choice_brings_what_it_needs() -> None:
    found = {choice.name: choice for choice in choices()}
    assert found["nesterov=True, momentum=0.7"].recipe.momentum == 0.7
    assert found["betas=(0.7,0.5), optimizer=adamw"].without.optimizer == "adamw"
