"""Tables: what a stranger put into a name stays text in every format."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.analysis import tables
from archspec.analysis.tables import Cell, Column, Table
from archspec.diagnostics.render import visible, width

HOSTILE = [
    "=1+1", "+A1", "-2", "@SUM(A1)", "\t=1", 'say "hi", all', "a|b", "<script>alert(1)</script>", "\x1b[31m", "a\nb",
    "\\|", "`x`", "[a](b)", "*a*", "_a_", "&lt;", "深層", "$x$", "\u202e",
]  # fmt: skip
names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))


def of(*rows: tuple[Cell, ...], total: tuple[Cell, ...] | None = None) -> Table:
    return Table((Column("name"), Column("count", "number"), Column("share", "share")), rows, total)


def test_text_is_aligned() -> None:
    table = of(("a", 1234567, 0.5), ("深層", 0, None), total=("total", 1234567, -0.0001))
    assert tables.text(table).split("\n") == [
        "name       count   share",
        "------------------------",
        "a      1,234,567  +50.0%",
        "深層           0",
        "------------------------",
        "total  1,234,567    0.0%",
    ]


@given(st.lists(st.tuples(names, st.integers(0, 10**40), st.none()), max_size=5))
def test_every_line_of_text_is_one_line_and_aligned(rows: list[tuple[str, int, None]]) -> None:
    lines = tables.text(of(*rows)).split("\n")
    assert len(lines) == 2 + len(rows)
    assert all(line.isprintable() for line in lines)
    head, rule, *body = lines
    column = head.index("count") + len("count")
    for line, (name, count, _) in zip(body, rows, strict=True):
        before, shown = line.rsplit("  ", 1)[0], f"{count:,}"
        assert line.endswith(shown)
        assert width(line) == column
        assert before.startswith(visible(name)[:20].rstrip())
    assert set(rule) == {"-"}


def test_a_very_long_name_is_cut_but_not_in_the_last_column() -> None:
    table = Table((Column("a"), Column("b")), (("x" * 10_000, "y" * 10_000), ("深" * 90, "")))
    lines = tables.text(table).split("\n")
    assert lines[2] == "x" * 57 + "...  " + "y" * 10_000
    assert lines[3] == "深" * 28 + "..."


@given(st.lists(st.tuples(names, st.integers(0, 10**40)), max_size=5))
def test_csv_reads_back_and_holds_no_formula(rows: list[tuple[str, int]]) -> None:
    text = tables.csv(of(*((name, count, -0.25) for name, count in rows), total=("total", 0, None)))
    assert text.endswith("\r\n")
    head, *body = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == ["name", "count", "share"]
    assert len(body) == len(rows)
    for (cell, number, share), (name, count) in zip(body, rows, strict=True):
        assert cell.removeprefix("'") == visible(name).removeprefix("'")
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r")
        assert (int(number), float(share)) == (count, -0.25)


def test_csv_quotes_as_the_standard_says() -> None:
    assert tables.csv(of(('a "b", c', 1, None))) == 'name,count,share\r\n"a ""b"", c",1,\r\n'


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_csv_disarms_formulas(formula: str) -> None:
    (_, (cell, *_)) = csv.reader(io.StringIO(tables.csv(of((formula, 1, None)))))
    assert cell == "'" + visible(formula)


@given(st.lists(names, min_size=1, max_size=4))
def test_markdown_shows_names_as_they_are(given_names: list[str]) -> None:
    markdown_it: Any = pytest.importorskip("markdown_it")
    shown = tables.markdown(of(*((name, 1, None) for name in given_names)))
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse(shown)
    assert tokens[0].type == "table_open"
    inline = [token for token in tokens if token.type == "inline"]
    assert len(inline) == 3 * (1 + len(given_names))
    for token, name in zip(inline[3::3], given_names, strict=True):
        children = token.children or []
        assert {child.type for child in children} <= {"text", "text_special"}
        assert "".join(child.content for child in children) == visible(name).strip()


class Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data


@given(st.lists(names, max_size=4))
def test_html_holds_no_markup_of_a_name(given_names: list[str]) -> None:
    parser = Cells()
    parser.feed(
        tables.html(of(*((name, 1, None) for name in given_names), total=("total", 1, None)))
    )
    assert set(parser.tags) <= {"table", "thead", "tbody", "tfoot", "tr", "td", "th"}
    assert parser.texts[3::3] == [*map(visible, given_names), "total"]


def test_html_shows_so_many_rows() -> None:
    shown = tables.html(of(*((f"layer{i}", i, None) for i in range(25))), max_rows=10)
    assert "layer9" in shown
    assert "layer10" not in shown
    assert "and 15 more" in shown


@pytest.mark.parametrize("name", HOSTILE)
def test_the_name_of_a_column_is_as_plain_as_a_cell(name: str) -> None:
    as_column = Table((Column(name), Column("n", "number")), (("", 1),))
    as_cell = Table((Column(""), Column("n", "number")), ((name, 1),))
    assert tables.text(as_column).split("\n")[0].split("  n")[0] == visible(name)
    assert "\x1b" not in tables.html(as_column)
    assert "<script>" not in tables.html(as_column)
    (head, *_), (_, cell) = (
        list(csv.reader(io.StringIO(tables.csv(table)))) for table in (as_column, as_cell)
    )
    assert head[0] == cell[0]
