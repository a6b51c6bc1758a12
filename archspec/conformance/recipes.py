"""Every choice of a recipe, found from the recipe's own declaration.

The values of a field are found from its type: all of a `Literal`, both of a flag, and a number
within the bounds that the field declares. A field that is added to the recipe is tried without a
change here. If its values cannot be found from its type, `EXAMPLES` has to state some.

>>> [choice.name for choice in choices() if choice.field == "momentum"]
['momentum=0.7']
>>> next(choice.recipe.betas for choice in choices() if choice.field == "betas")
(0.7, 0.5)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from archspec.ir.recipe import Recipe

EXAMPLES: Mapping[str, Sequence[Any]] = {
    "freeze": [("one.*", "bn.*")],
    "lr_multipliers": [{"two.*": 3.0, "two.bias": 0.5}],
}
"""Values of fields whose type does not tell them: patterns of names in `training_net`."""

NOT_A_TRAINERS: Mapping[str, str] = {
    "learning_rate": "`step` is given it",
    "schedule": "the loop computes the learning rate of a step",
    "epochs": "the loop counts them",
    "batch": "the loop cuts the batches",
    "augment": "images are varied before a trainer sees them",
    "seed": "the definition draws nothing: masks have tests of their own",
    "precision": "the definition computes in float64: half precision has a test of its own",
}
"""The fields that the trainer that defines training does not read, with the reason."""

_FRACTIONS = (0.7, 0.5)
"""The place of a number between its bounds; two numbers of a pair differ."""


@dataclass(frozen=True)
class Choice:
    """One value of a field; `context` holds the other fields that it needs."""

    field: str
    value: Any
    context: Mapping[str, Any]
    kind: type[Recipe] = Recipe

    @property
    def name(self) -> str:
        beside = "".join(f", {name}={_shown(value)}" for name, value in self.context.items())
        return f"{self.field}={_shown(self.value)}{beside}"

    @property
    def recipe(self) -> Recipe:
        return self.kind(**{**self.context, self.field: self.value})

    @property
    def without(self) -> Recipe:
        """Return the same recipe, with the field at its default."""
        return self.kind(**self.context)


class NoValues(TypeError):
    """A field whose values cannot be told from its type."""


def values(field: FieldInfo) -> list[Any]:
    """Return some values of a field, all of them where they can be counted.

    Raise `NoValues` for a type such as a text, of which any could be meant.
    """
    return _values(field.annotation, field.metadata, _FRACTIONS[0])


@cache
def choices(kind: type[Recipe] = Recipe) -> tuple[Choice, ...]:
    """Return every choice, by itself and beside every optimizer that goes with it.

    `nesterov`, say, needs a momentum: a choice gets the first fields that make the recipe valid.
    """
    drawn: dict[str, list[Any]] = {}
    for name in kind.model_fields:
        with suppress(NoValues):  # `check_fields` reports it
            drawn[name] = drawn_values(name, kind)
    by_name: dict[str, Choice] = {}
    for field, drawn_of_field in drawn.items():
        for value in drawn_of_field:
            for context in _contexts(kind, field, value, drawn):
                choice = Choice(field, value, context, kind)
                by_name.setdefault(choice.name, choice)
    return tuple(by_name.values())


def check_fields(kind: type[Recipe] = Recipe) -> None:
    """Raise AssertionError for a field of the recipe that no choice tries."""
    gone = [name for name in (*NOT_A_TRAINERS, *EXAMPLES) if name not in kind.model_fields]
    if gone:
        raise AssertionError(f"the recipe has no field {gone[0]!r} any more")
    for name in kind.model_fields:
        try:
            tried = drawn_values(name, kind)
        except NoValues as error:
            raise AssertionError(f"{name!r}: {error}; give it some in EXAMPLES") from error
        if not tried and name not in NOT_A_TRAINERS:
            raise AssertionError(f"{name!r} has no value besides its default")


def drawn_values(name: str, kind: type[Recipe] = Recipe) -> list[Any]:
    """Return the values of a field that differ from its default; none if no trainer reads it.

    Raise `NoValues` for a field whose values cannot be told.
    """
    if name in NOT_A_TRAINERS:
        return []
    field = kind.model_fields[name]
    default = field.get_default(call_default_factory=True)
    return [value for value in EXAMPLES.get(name) or values(field) if value != default]


def _contexts(
    kind: type[Recipe], field: str, value: Any, drawn: Mapping[str, Sequence[Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the contexts of a choice: the smallest valid one, and one for each optimizer."""
    others = [{name: other} for name, values in drawn.items() if name != field for other in values]
    pairs = ({**one, **two} for one, two in itertools.combinations(others, 2))
    least = next((c for c in ({}, *others, *pairs) if _valid(kind, field, value, c)), None)
    if least is None:
        raise ValueError(f"no recipe has {field}={value!r}")
    yield least
    if field == "optimizer" or "optimizer" in least:
        return
    for optimizer in drawn["optimizer"]:
        context = {"optimizer": optimizer, **least}
        if _valid(kind, field, value, context):
            yield context


def _valid(kind: type[Recipe], field: str, value: Any, context: Mapping[str, Any]) -> bool:
    """Tell whether the recipe can be stated, with the choice and without it."""
    try:
        kind(**{**context, field: value})
        kind(**context)
    except ValidationError:
        return False
    return True


def _values(annotation: Any, metadata: Sequence[Any], fraction: float) -> list[Any]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [each for part in args[1:] for each in getattr(part, "metadata", None) or [part]]
        return _values(args[0], [*metadata, *inner], fraction)
    if origin in (Union, UnionType):
        parts = [part for part in args if part is not type(None)]
        return [value for part in parts for value in _values(part, metadata, fraction)]
    if origin is Literal:
        return list(args)
    if origin is tuple and args[1:] == (...,):
        return [(value,) for value in _values(args[0], (), fraction)]
    if origin is tuple:
        pairs = zip(args, itertools.cycle(_FRACTIONS), strict=False)
        return [tuple(_values(part, (), fraction)[0] for part, fraction in pairs)]
    if annotation is bool:
        return [True, False]
    if annotation is int:
        return [2 + _bound(metadata, ("ge", "gt"), 0)]
    if annotation is float:
        low = _bound(metadata, ("ge", "gt"), 0.0)
        return [low + fraction * (_bound(metadata, ("le", "lt"), low + 1) - low)]
    raise NoValues(f"{annotation} does not say which values there are")


def _bound(metadata: Sequence[Any], names: tuple[str, ...], otherwise: Any) -> Any:
    stated = (getattr(part, name, None) for part in metadata for name in names)
    return next((bound for bound in stated if bound is not None), otherwise)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else str(value).replace(" ", "").replace("'", "")
