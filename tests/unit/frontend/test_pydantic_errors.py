"""Errors of sections: an old key names the one that replaced it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from archspec.frontend.pydantic_errors import model_of
from archspec.ir.document import Document
from archspec.ir.section import Section
from tests.helpers.language import net, the


def sections(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[str, type[Section]]]:
    """Yield every section inside a model, with the keys that lead to it."""
    for name, field in model.model_fields.items():
        inner = model_of(field.annotation)
        if inner is not None and not inner[1] and issubclass(inner[0], Section):
            yield ".".join((*path, name)), inner[0]
            yield from sections(inner[0], (*path, name))


RENAMED = [
    (path, old, new)
    for path, section in sections(Document, ())
    for old, new in section.renamed.items()
]


def test_the_renamed_keys_of_the_recipe_are_declared() -> None:
    assert RENAMED == [
        ("train", "exempt", "no_decay"),
        ("train", "rates", "lr_multipliers"),
        ("train", "decay", "ema_decay"),
        ("train", "clip", "clip_norm"),
        ("train.augment", "mirror", "flip"),
    ]


@pytest.mark.parametrize(("path", "old", "new"), RENAMED)
def test_an_old_key_is_an_error_that_names_the_new_one(path: str, old: str, new: str) -> None:
    section, _, inner = path.partition(".")
    value = f"{{{inner}: {{{old}: 1}}}}" if inner else f"{{{old}: 1}}"
    diagnostic = the(net("- relu", **{section: value}), "AS0202", old)
    assert diagnostic.message == f"unknown key `{old}` in `{inner or section}`"
    assert diagnostic.help == f"`{old}` is now `{new}`"


def test_a_new_key_is_a_field_and_an_old_one_is_not() -> None:
    for _, section in sections(Document, ()):
        assert set(section.renamed.values()) <= set(section.model_fields)
        assert not set(section.renamed) & set(section.model_fields)


def test_an_old_key_that_an_edit_sets_is_told_too() -> None:
    text = net("- relu", train="{optimizer: sgd}")
    diagnostic = the(text, "AS0202", sets=["train.clip=5"])
    assert diagnostic.help == "`clip` is now `clip_norm`"
