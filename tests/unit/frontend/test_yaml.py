"""YAML 1.2 core, read with a place for everything: what a scalar is, what is refused, and where."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.diagnostics import Report, Source
from archspec.frontend.tree import (
    Tree,
    YamlList,
    YamlMap,
    YamlScalar,
    to_python,
    tree_depth,
    tree_size,
)
from archspec.frontend.yaml import MAX_DEPTH, MAX_VALUES, Budget, parse_yaml, resolve_scalar
from archspec.frontend.yaml_errors import decode
from tests.helpers.language import marked


def tree(text: str) -> Tree:
    report = Report()
    found = parse_yaml(Source("t.yaml", text), report)
    assert found is not None, report.diagnostics
    assert not report.by_location
    return found


def refused(text: str) -> list[tuple[str, str, str, str]]:
    """Code, marked text, message and help of everything that is said."""
    report = Report()
    parse_yaml(Source("t.yaml", text), report)
    return [(d.code, marked(d.span), d.message, d.help) for d in report.diagnostics]


# Scalars


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E3", 1000.0), ("1.", 1.0), (".5", 0.5), ("-2.5", -2.5), ("+3", 3), ("-0", 0), ("12e03", 12000.0),
        ("017", 17), ("0o17", 15), ("0x1F", 31), ("0xff", 255), ("007", 7),
        (".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("1e400", math.inf),
        ("true", True), ("True", True), ("TRUE", True), ("false", False),
        ("~", None), ("null", None), ("Null", None), ("NULL", None), ("", None),
    ],
)  # fmt: skip
def test_a_plain_scalar_is_what_the_core_schema_says(text: str, value: Any) -> None:
    found = resolve_scalar(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "no", "yes", "on", "off", "y", "n", "No", "YES", "tRUE", "nULL", "1_000", "0b101", "0o18", "-0x1", "+0o7", "0O17", "0X1",
        "1:30", "190:20:30", "2001-12-14", "1e", "e3", ".", "-", "+", "..", "1.2.3", "inf", "nan", "NaN", "-.nan", "=", "3x3",
        "7x7/2", "1,000", "0x", "0o", "١٢", "1 2",
    ],
)  # fmt: skip
def test_anything_else_is_a_text(text: str) -> None:
    assert resolve_scalar(text) == text
    assert isinstance(resolve_scalar(text), str)


def test_not_a_number_is_read() -> None:
    assert all(math.isnan(float(str(resolve_scalar(text)))) for text in (".nan", ".NaN", ".NAN"))


SCHEMA = (  # YAML 1.2.2, section 10.3.2, in order
    (r"null|Null|NULL|~|", type(None)),
    (r"true|True|TRUE|false|False|FALSE", bool),
    (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", int),
    (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
        float,
    ),
)


@given(st.text("0123456789+-._eEoxXaAbfFinINntruTRUlsL~", max_size=9))
def test_every_text_has_the_type_that_the_core_schema_gives_it(text: str) -> None:
    expected = next((kind for pattern, kind in SCHEMA if re.fullmatch(pattern, text)), str)
    assert type(resolve_scalar(text)) is expected


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_read_as_python_prints_them(value: float) -> None:
    assert resolve_scalar(repr(value)) == value


def test_a_number_of_very_many_digits_stays_text() -> None:
    assert resolve_scalar("9" * 400) == int("9" * 400)
    assert resolve_scalar("9" * 401) == "9" * 401


def test_quotes_make_a_text() -> None:
    assert to_python(tree("['1', \"true\", '~', \"\", !!str 12, ! 12]")) == [
        "1",
        "true",
        "~",
        "",
        "12",
        "12",
    ]


def test_a_merge_key_is_a_key_like_any_other() -> None:
    assert to_python(tree("a: &x {b: 1}\nc: {<<: *x}\n")) == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("|\n  a\n  b\n", "a\nb\n"), (">-\n  a\n  b\n", "a b"), ("|2-\n    a\n", "  a"), ("'it''s'", "it's"), ('"\\x41\\n\\u00e9"', "A\né"),
        ('"a\\\n  b"', "ab"), ("a\n  b", "a b"),
    ],
)  # fmt: skip
def test_texts_of_every_style(text: str, value: str) -> None:
    assert to_python(tree(f"k: {text}")) == {"k": value}


# Collections


def plain(least: int = 0) -> st.SearchStrategy[str]:
    printable = st.characters(
        codec="utf-8",
        exclude_categories=("Cc", "Cs", "Zl", "Zp"),
        exclude_characters="\ufeff\ufffe\uffff",
    )
    return st.text(printable.filter(lambda c: c.isprintable()), min_size=least, max_size=20)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    plain(),
)
VALUES = st.recursive(
    SCALARS,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(plain(), v, max_size=4),
    max_leaves=15,
)


@given(VALUES, st.sampled_from([None, 1, 2]))
def test_json_reads_as_what_it_says(value: Any, indent: int | None) -> None:
    found = tree(json.dumps(value, ensure_ascii=False, indent=indent))
    assert to_python(found) == value


@given(VALUES)
def test_every_part_of_a_tree_knows_its_place(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    for part in parts(tree(text)):
        piece = marked(part.span)
        assert json.loads(piece) == to_python(part), piece


def parts(whole: Tree) -> list[Tree]:
    """A tree and everything inside it, keys too."""
    inner = (
        whole.items
        if isinstance(whole, YamlList)
        else [x for pair in whole for x in pair]
        if isinstance(whole, YamlMap)
        else []
    )
    return [whole, *(part for item in inner for part in parts(item))]


@given(VALUES)
def test_size_and_height_count_what_is_there(value: Any) -> None:
    def count(v: Any) -> int:
        inner = v.values() if isinstance(v, dict) else v if isinstance(v, list) else ()
        return 1 + sum(map(count, inner))

    def depth(v: Any) -> int:
        inner = v.values() if isinstance(v, dict) else v if isinstance(v, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=-1 + 0)

    found = tree(json.dumps(value, ensure_ascii=False))
    assert tree_size(found) == count(value)
    assert tree_depth(found) == depth(value)


def test_a_block_collection_ends_where_its_last_value_ends() -> None:
    text = "a:\n  b: 1\n  c:\n    - x\n    - y  # remark\n\n# remark\nd: 2\n"
    whole = tree(text)
    assert isinstance(whole, YamlMap)
    assert marked(whole.entries["a"][1].span) == "b: 1\n  c:\n    - x\n    - y"


def test_keys_that_are_numbers_are_texts() -> None:
    assert to_python(tree("1: a\n0x2: b\ntrue: c\n~: d\n'': e\n")) == {
        "1": "a",
        "0x2": "b",
        "true": "c",
        "~": "d",
        "": "e",
    }


# Anchors


def test_an_alias_is_a_copy_of_its_own() -> None:
    whole = tree("a: &x [1, {b: 2}]\nc: *x\n")
    assert isinstance(whole, YamlMap)
    first, second = whole.entries["a"][1], whole.entries["c"][1]
    assert isinstance(first, YamlList)
    first.items.append(YamlScalar(3, "3", first.source, (1, 1), (1, 1)))
    assert to_python(second) == [1, {"b": 2}]


def test_an_anchor_may_be_set_anew() -> None:
    assert to_python(tree("[&x 1, *x, &x 2, *x]")) == [1, 1, 2, 2]


def test_aliases_expand_within_bounds() -> None:
    bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    bomb += "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    ((code, mark, message, help),) = refused(bomb)
    assert (code, mark, help) == ("AS0107", "*a4", "use blocks and `repeat`")
    assert f"{MAX_VALUES:,}" in message


def test_room_is_shared_between_texts() -> None:
    report, room = Report(), Budget(values=10)
    assert parse_yaml(Source("a", "[1, 2, 3, 4]"), report, budget=room) is not None
    assert room.values == 5
    assert parse_yaml(Source("b", "[1, 2, 3, 4, 5]"), report, budget=room) is None
    assert [(d.code, marked(d.span)) for d in report.diagnostics] == [("AS0106", "5")]


def test_an_alias_cannot_nest_deeper_than_brackets_can() -> None:
    step = "[" * 20 + "{}" + "]" * 20
    text = f"- &a {step.format('1')}\n- &b {step.format('*a')}\n- &c {step.format('*b')}\n- &d {step.format('*c')}\n"
    (first,) = refused(text)
    assert first[:2] == ("AS0105", "*c")


# What is refused


@pytest.mark.parametrize(
    ("text", "code", "mark", "message", "help"),
    [
        ("a: b: c", "AS0101", ":", "a key cannot stand here", "quote"),
        ("a: 1\n b: 2", "AS0101", ":", "a key cannot stand here", "one column"),
        ("a: {b: 1 c: 2}", "AS0101", ":", "expected `,` or `}`, found `:`", "commas"),
        ("a: [1, 2", "AS0101", "[", "does not end: expected `,` or `]`", "close"),
        ("x: 1\na: {b: 1,\n\n", "AS0101", "{", "does not end", "close"),
        ("a: [1}", "AS0101", "}", "expected `,` or `]`, found `}`", "close"),
        ("a: {b: ${x}}", "AS0101", "{", "expected `,` or `}`", '"${...}"'),
        ("- a\nb: 1", "AS0101", "b", "expected an item of the list", "`- `"),
        ("a: 1\n- b", "AS0101", "-", "expected a key of the mapping", "one column"),
        ("a: @x", "AS0101", "@", "a value cannot begin so", "quote"),
        ("a: 'x", "AS0101", "'", "does not end", "close the quote"),
        ('a: "\\q"', "AS0101", "\\", "an unknown escape", "single quotes"),
        ("a: [#x, y]\n", "AS0101", "[", "expected a value", "comment"),
        ("a: * x", "AS0101", " ", "the name of an anchor", "`*` or `&`"),
        ("a: 1\n---\nb: 2", "AS0101", "---", "one document", "remove"),
        ("a: 1\n...\nb: 2", "AS0101", "b", "one document", "remove"),
        ("{[1]: 2}", "AS0101", "[1]", "a key has to be a name", "quote"),
        ("a: \x07", "AS0101", "\x07", "U+0007", "escape"),
        ("a\n\tb: \x00", "AS0101", "\x00", "U+0000", "escape"),
        ("a: \udcff", "AS0101", "\udcff", "U+DCFF", "remove"),
        ("a:\n\tb: 1", "AS0103", "\t", "tab", "spaces"),
        ("\ta: 1", "AS0103", "\t", "tab", "spaces"),
        ("a: !!python/name:os.system x", "AS0104", "!!python/name:os.system", "`!!python/name:os.system`", "remove"),
        ("a: !!int 3", "AS0104", "!!int", "`!!int`", "remove"),
        ("a: !x [1]", "AS0104", "!x", "`!x`", "remove"),
        ("a: &n !!set {x}", "AS0104", "!!set", "`!!set`", "remove"),
        ("a: !<tag:x,1:y> z", "AS0104", "!<tag:x,1:y>", "`!<tag:x,1:y>`", "remove"),
        ("a: *b", "AS0107", "*b", "`*b` is not defined", "quotes"),
        ("a: &a [*a]", "AS0107", "*a", "`*a` holds itself", ""),
        ("a: 1\nb: 2\na: 3", "AS0108", "a", "`a` is given twice", ""),
        ("{1: a, '1': b}", "AS0108", "'1'", "`1` is given twice", ""),
        ("", "AS0201", "", "the spec is empty", "archspec init"),
        ("# only a remark\n", "AS0201", "", "the spec is empty", "archspec init"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_of_ours_is_refused_at_its_place(
    text: str, code: str, mark: str, message: str, help: str
) -> None:
    ((found_code, found_mark, found_message, found_help),) = refused(text)
    assert (found_code, found_mark) == (code, mark)
    assert message in found_message
    assert help in found_help


def test_a_key_given_twice_shows_the_first() -> None:
    report = Report()
    parse_yaml(Source("t.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n"), report)
    (diagnostic,) = report.diagnostics
    (note,) = diagnostic.notes
    assert note.span is not None
    assert (note.text, note.span.line, marked(note.span)) == ("first given", 3, "c")


def test_reading_continues_after_a_double_key() -> None:
    assert [found[0] for found in refused("a: 1\na: 2\nb: {c: 1, c: 2}\n{}: 1")] == [
        "AS0108",
        "AS0108",
        "AS0101",
    ]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_nesting_has_a_bound(opening: str, closing: str) -> None:
    assert tree_depth(tree(opening * MAX_DEPTH + "1" + closing * MAX_DEPTH)) == MAX_DEPTH
    ((code, mark, message, _),) = refused(
        opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1)
    )
    assert (code, mark) == ("AS0105", "1" if opening == "[" else "a")
    assert "64" in message


# Bytes


@pytest.mark.parametrize(
    ("raw", "line", "column"),
    [
        (b"a: \xff", 1, 4),
        (b"a: 1\n\xc3\xa9\xc3\xa9: \xe9\n", 2, 5),
        (b"\xef\xbb\xbfa: \x80", 1, 4),
        (b"a: \xed\xa0\x80", 1, 4),
    ],
)
def test_a_byte_that_is_no_utf_8_is_shown_at_its_place(raw: bytes, line: int, column: int) -> None:
    report = Report()
    assert decode(raw, "t.yaml", report) is None
    (diagnostic,) = report.diagnostics
    assert (diagnostic.code, diagnostic.span.line) == ("AS0102", line)
    assert diagnostic.span.column in (column, column + 1)  # a byte order mark counts


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_unicode_encoding_is_refused(encoding: str) -> None:
    report = Report()
    source = decode("archspec: 1\nname: é".encode(encoding), "t.yaml", report)
    assert source is None or parse_yaml(source, report) is None
    assert {d.code for d in report.diagnostics} <= {"AS0101", "AS0102"}
    assert report.failed


@given(st.text(st.characters(codec="utf-8")))
def test_utf_8_is_read_as_it_is(text: str) -> None:
    source = decode(text.encode(), "t.yaml", Report())
    assert source is not None
    assert source.text == text.removeprefix("\ufeff")
