"""How diagnostics read: exact texts, and what must hold whatever a spec is made of."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.diagnostics import Diagnostic, Note, Severity, Source, SpecError
from archspec.diagnostics.render import (
    render_github,
    render_json,
    render_text,
    summary,
    visible,
    width,
)

VARIANT = Source(
    "specs/variant.yaml",
    "\n" * 21
    + "      - concat:\n          3x3:\n            - {conv: {out: 192, stride: 2}}\n"
    + "\n" * 36
    + "      - inception_3a\n",
)
BRANCHES = Diagnostic(
    "AS0301",
    "concat branches differ outside the channel axis",
    VARIANT.span(23, 11, 23, 14),
    label="this branch is 192x14x14",
    notes=(
        Note(
            "branches 1x1 (64x28x28), 5x5 (32x28x28) and pool (32x28x28) agree; "
            "3x3 became 14x14 at specs/variant.yaml:25:49 (stride 2)"
        ),
        Note("in block inception, instantiated as inception_3a", VARIANT.span(61, 9, 61, 21)),
    ),
    help="make the stride 1, or give every branch stride 2",
)
UNUSED = Diagnostic(
    "AS0601",
    "nothing uses the argument `x`",
    Source("net.yaml", "args: {x: 1}").span(1, 8, 1, 9),
    "warning",
)


def at(
    text: str, line: int, column: int, end_line: int, end_column: int, found: str = ""
) -> Diagnostic:
    return Diagnostic(
        "AS0101",
        "a message",
        Source("net.yaml", text).span(line, column, end_line, end_column),
        label=found,
    )


def excerpt(diagnostic: Diagnostic) -> list[str]:
    """What stands between the place and the notes, without the gutter."""
    lines = render_text([diagnostic]).split("\n\n")[0].split("\n")[2:]
    return [line.partition("|")[2].removeprefix(" ") for line in lines if "|" in line][1:3]


def test_an_error_with_all_it_can_have() -> None:
    assert (
        render_text([BRANCHES])
        == """\
error[AS0301]: concat branches differ outside the channel axis
  --> specs/variant.yaml:23:11
   |
23 |           3x3:
   |           ^^^ this branch is 192x14x14
   |
   = branches 1x1 (64x28x28), 5x5 (32x28x28) and pool (32x28x28) agree; 3x3 became 14x14 at
     specs/variant.yaml:25:49 (stride 2)
   = in block inception, instantiated as inception_3a at specs/variant.yaml:61:9
   = help: make the stride 1, or give every branch stride 2

1 error"""
    )


def test_several_end_in_a_summary() -> None:
    text = render_text([BRANCHES, UNUSED, BRANCHES])
    assert text.endswith("\n\n2 errors, 1 warning")
    assert """\

warning[AS0601]: nothing uses the argument `x`
 --> net.yaml:1:8
  |
1 | args: {x: 1}
  |        ^

error[AS0301]""" in text  # fmt: skip
    assert summary([UNUSED, UNUSED]) == "2 warnings"
    assert render_text([]) == render_github([]) == summary([]) == ""


def test_an_exception_lists_code_location_and_message() -> None:
    first, second = str(SpecError([BRANCHES, UNUSED])).splitlines()[1:]
    assert first == f"error[AS0301] {BRANCHES.span}: {BRANCHES.message}"
    assert second == f"warning[{UNUSED.code}] {UNUSED.span}: {UNUSED.message}"


def test_colour_adds_escapes_and_nothing_else() -> None:
    coloured = render_text([BRANCHES, UNUSED], color=True)
    assert "\x1b[1;31merror[AS0301]\x1b[0m" in coloured
    assert "\x1b[1;33mwarning[AS0601]\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render_text([BRANCHES, UNUSED])


def test_without_a_source_line_the_finding_is_a_note() -> None:
    for nowhere in (Source("gone.yaml", "").start, Source("gone.yaml", "a: 1").span(9, 1, 9, 2)):
        text = render_text(
            [
                Diagnostic(
                    "AS0001", "cannot be read", nowhere, label="no such file", help="look elsewhere"
                )
            ]
        )
        _, place, *rest = text.split("\n")
        assert place.startswith(" --> gone.yaml:")
        assert rest == ["  |", "  = no such file", "  = help: look elsewhere", "", "1 error"]


def test_a_span_over_lines_is_marked_on_its_first() -> None:
    text = "a:\n  - {b: 1,\n     c: 2}\n\n  # a remark\nd: 3\n"
    assert excerpt(at(text, 2, 5, 3, 11, "a mapping")) == [
        "  - {b: 1,",
        "    ^^^^^^ a mapping (to line 3)",
    ]
    assert excerpt(at(text, 2, 5, 6, 1)) == [
        "  - {b: 1,",
        "    ^^^^^^ (to line 3)",
    ]  # ends before what follows
    assert excerpt(at(text, 6, 1, 9, 1)) == ["d: 3", "^^^^"]


def test_a_span_at_the_end_of_a_line() -> None:
    assert excerpt(at("a: [1, 2\n", 1, 9, 1, 10, "`]` is missing")) == [
        "a: [1, 2",
        "        ^ `]` is missing",
    ]
    assert excerpt(at("a: [1, 2\n", 1, 99, 1, 100)) == ["a: [1, 2", "        ^"]
    assert excerpt(at("a: 1\n", 1, 4, 1, 4)) == ["a: 1", "   ^"]


@pytest.mark.parametrize(
    ("line", "column", "shown", "indent", "carets"),
    [
        ("\ta: x", 5, "    a: x", 7, 1),
        ("a:\tx", 4, "a:  x", 4, 1),
        ("深層: x", 5, "深層: x", 6, 1),
        ("深層: x", 2, "深層: x", 2, 2),
        ("e\u0301: x", 5, "e\u0301: x", 3, 1),
        ("a\x1b: x", 5, "a\\x1b: x", 7, 1),
        ("a\xa0b: x", 2, "a\\xa0b: x", 1, 4),
        ("\u202ea: x", 2, "\\u202ea: x", 6, 1),
    ],
)
def test_carets_stand_under_what_is_meant(
    line: str, column: int, shown: str, indent: int, carets: int
) -> None:
    assert excerpt(at(line, 1, column, 1, column + 1)) == [shown, " " * indent + "^" * carets]


def test_a_very_long_line_is_cut_around_the_span() -> None:
    line = "".join(f"{i:05}," for i in range(100_000))
    for column in (1, 43, 300_001, 599_995, 600_001):
        shown, marks = excerpt(at(line, 1, column, 1, column + 5, "here"))
        assert len(shown) <= 108
        caret = marks.index("^")
        assert (
            shown[caret : caret + 5] == (line + "     ")[column - 1 : column + 4].rstrip()
            or not line[column - 1 :]
        )
        assert shown.startswith("... ") == (column > 26)
        assert shown.endswith(" ...") == (column < 599_900)
        assert marks.endswith(" here")


def test_carets_end_where_a_cut_line_ends() -> None:
    shown, marks = excerpt(at("x" * 1000, 1, 1, 1, 1001, "too long"))
    assert marks == "^" * 100 + " too long"
    assert shown == "x" * 100 + " ..."
    shown, _ = excerpt(at("深" * 1000, 1, 500, 1, 501))
    assert width(shown) <= 108


def test_lines_end_where_yaml_ends_them() -> None:
    assert excerpt(at("a: 1\r\nb: 2\rc: 3\x85d: 4\u2028e: 5", 5, 1, 5, 2)) == ["e: 5", "^"]
    assert excerpt(at("a: 1\r\nb: 2", 1, 4, 1, 5)) == ["a: 1", "   ^"]


def test_long_notes_are_wrapped_and_keep_their_own_lines() -> None:
    help = "first line\n" + "word " * 40 + "\n" + "x" * 200
    text = render_text(
        [Diagnostic("AS0101", "a message", Source("net.yaml", "a: 1").start, help=help)]
    )
    lines = text.split("\n\n")[0].split("\n")
    assert lines[6] == "  = help: first line"
    assert all(line.startswith("    ") for line in lines[7:])
    assert max(map(len, lines[:-1])) <= 100
    assert lines[-1] == "    " + "x" * 200  # a name or an address is not broken
    assert " ".join(" ".join(lines[6:]).split()) == "= help: " + " ".join(help.split())


def test_json() -> None:
    found = json.loads(render_json([BRANCHES, UNUSED]))
    assert [list(item) for item in found] == [
        [
            "code",
            "severity",
            "message",
            "file",
            "line",
            "column",
            "end_line",
            "end_column",
            "help",
            "notes",
        ]
    ] * 2
    assert {key: value for key, value in found[0].items() if key != "notes"} == {
        "code": "AS0301",
        "severity": "error",
        "message": "concat branches differ outside the channel axis",
        "file": "specs/variant.yaml",
        "line": 23,
        "column": 11,
        "end_line": 23,
        "end_column": 14,
        "help": "make the stride 1, or give every branch stride 2",
    }
    assert found[0]["notes"] == ["this branch is 192x14x14", *map(str, BRANCHES.notes)]
    assert found[1]["severity"] == "warning"
    assert json.loads(render_json([])) == []


def test_github_annotations() -> None:
    odd = Diagnostic(
        "AS0204",
        "50% of\r\n::error::it",
        Source("a,b:c\n%.yaml", "").span(2, 3, 4, 5),
        "warning",
        notes=(Note("a \x1bnote"),),
    )
    first, second = render_github([BRANCHES, odd]).splitlines()
    assert first.startswith(
        "::error file=specs/variant.yaml,line=23,col=11,endLine=23,endColumn=14,title=AS0301"
        "::concat branches differ outside the channel axis%0Athis branch is 192x14x14%0Abranches 1x1"
    )
    assert first.endswith("%0Ahelp: make the stride 1, or give every branch stride 2")
    assert second == (
        "::warning file=a%2Cb%3Ac%0A%25.yaml,line=2,col=3,endLine=4,endColumn=5,title=AS0204"
        "::50%25 of%0D%0A::error::it%0Aa \\x1bnote"
    )


texts = st.text(max_size=40)
numbers = st.integers(1, 12)


@st.composite
def diagnostics(draw: st.DrawFn) -> Diagnostic:
    severity: Severity = draw(st.sampled_from(["error", "warning"]))
    source = Source(draw(texts), draw(st.text("ab \t\r\n:深e\u0301\x1b\u202e", max_size=60)))
    span = source.span(*(draw(numbers) for _ in range(4)))
    notes = tuple(
        Note(draw(texts), draw(st.sampled_from([None, span])))
        for _ in range(draw(st.integers(0, 2)))
    )
    return Diagnostic("AS0101", draw(texts), span, severity, draw(texts), notes, draw(texts))


@given(st.lists(diagnostics(), max_size=3))
def test_no_text_steers_the_terminal_or_breaks_a_format(found: list[Diagnostic]) -> None:
    assert all(line.isprintable() for line in render_text(found).split("\n"))
    records = json.loads(render_json(found))
    assert [record["message"] for record in records] == [diagnostic.message for diagnostic in found]
    assert render_json(found).isascii()
    commands = render_github(found).split("\n")
    assert len(commands) == len(found) + 1
    assert all(re.match("::(error|warning) file=[^,:]*,line=", line) for line in commands[:-1])
    assert all(line.isprintable() for line in commands)


@given(diagnostics())
def test_carets_never_leave_the_line(found: Diagnostic) -> None:
    lines = re.split(r"\r\n|[\r\n]", found.span.source.text)
    if found.span.source.text and found.span.line <= len(lines):
        shown, marks = excerpt(found)
        caret = len(marks) - len(marks.lstrip(" "))
        count = len(re.match(r"\^*", marks.lstrip(" "))[0])  # pyright: ignore[reportOptionalSubscript]
        assert count >= 1
        assert (
            caret + count
            <= max(width(shown), len(lines[found.span.line - 1].expandtabs(4)) * 6) + 1
        )


@given(st.text())
def test_visible_text_is_printable_and_plain_text_unchanged(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()
    assert width(shown) >= sum(not unicodedata.category(char).startswith("M") for char in shown)
