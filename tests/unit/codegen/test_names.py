"""Names and texts: identifiers that hide nothing and never collide, strings that stay strings."""

from __future__ import annotations

import ast
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.codegen.literals import display_width, docstring, literal, wrap
from archspec.codegen.names import RESERVED, Namespace, class_name, identifier

TEXTS = st.text(
    st.characters() | st.sampled_from("\"'\\\n\r\t\x00\u2028\u202e{}#_1aａﬀ"), max_size=60
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1x1", "b1x1"),
        ("#1x1", "n1x1"),
        ("#3x3 reduce", "n3x3_reduce"),
        ("pool proj", "pool_proj"),
        ("class", "class_"),
        ("range", "range_"),
        ("l", "l_"),
        ("__init__", "init"),
        ("ｃｏｎｖ", "conv"),  # full-width letters, which Python reads as plain ones
        ("ﬀ", "ff"),
        ("свёртка", "b"),
        ("a" * 10_000, "a" * 36),
    ],
)
def test_identifiers(text: str, expected: str) -> None:
    assert identifier(text) == expected


@given(TEXTS)
def test_every_text_becomes_a_plain_identifier(text: str) -> None:
    for name in (identifier(text), class_name(text)):
        assert name.isascii()
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert name not in RESERVED
        assert not name.startswith("_")
        assert len(name) <= 41


@given(st.lists(TEXTS, max_size=20))
def test_a_namespace_never_gives_a_name_twice(texts: list[str]) -> None:
    space = Namespace("x")
    names = [space.unique(identifier(text)) for text in texts]
    assert len({"x", *names}) == len(names) + 1
    assert all(name.isidentifier() for name in names)


@given(TEXTS)
def test_a_literal_is_read_back(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text
    assert literal(text).isprintable()


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.none())
def test_numbers_are_read_back(value: object) -> None:
    assert ast.literal_eval(literal(value)) == value
    assert ast.literal_eval(literal((value, value))) == (value, value)


@given(TEXTS)
def test_a_docstring_neither_ends_nor_escapes(text: str) -> None:
    (statement,) = ast.parse(f'"""{docstring(text)}"""').body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Constant)
    shown = statement.value.value
    assert isinstance(shown, str)
    # What can be seen is all there; quotes in a row may have become single ones.
    assert (
        shown.replace("'", '"').split()
        == docstring(text).replace("\\\\", "\\").replace("'", '"').split()
    )
    assert shown.isprintable()


@given(TEXTS, st.integers(8, 40))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(display_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
