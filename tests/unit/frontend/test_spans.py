"""Every diagnostic marks exactly what it speaks of: the text under the carets, character for character."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.compiler import check
from archspec.diagnostics import Source
from archspec.diagnostics.codes import codes
from archspec.diagnostics.render import render_json, render_text
from tests.helpers.error_pages import spec_blocks
from tests.helpers.language import found, marked, net, read, the
from tests.helpers.markdown import blocks, write

ERRORS = Path(__file__).parents[3] / "docs" / "errors"
MARKS = {  # of the failing spec of each code's page
    "AS0001": "", "AS0002": "classes", "AS0101": ":", "AS0102": "\ufffd", "AS0103": "\t", "AS0104": "!!python/tuple", "AS0105": "[",
    "AS0106": "", "AS0107": "*window", "AS0108": "out", "AS0201": "", "AS0202": "strides", "AS0203": "maxpool", "AS0204": "no", "AS0205": "40",
    "AS0206": "relu", "AS0207": "convolution", "AS0208": "[s2, avg_pool, 2]", "AS0209": "6", "AS0210": "conv1.1", "AS0301": "5x5",
    "AS0302": "body", "AS0303": "56x56x64", "AS0304": "7", "AS0305": "24", "AS0306": "linear", "AS0307": "max_pool",
    "AS0308": "[256, 7, 7]", "AS0309": "2", "AS0310": "28", "AS0311": "add", "AS0312": "3x80", "AS0401": "clases", "AS0402": "steam",
    "AS0403": "conv1", "AS0404": "residual", "AS0405": "aux2", "AS0406": "aux1", "AS0407": "aux1", "AS0408": "narrow.yaml",
    "AS0409": "lenet-5.yaml", "AS0410": "../specs/lenet5.yaml", "AS0411": "conv1", "AS0501": "}", "AS0502": "int", "AS0503": "64 // i",
    "AS0504": '"${64 * multiplier}"', "AS0505": "width ** 16", "AS0506": "$hidden", "AS0601": "classes", "AS0602": "convolution",
    "AS0603": "conv", "AS0604": "relu", "AS0605": "2.7K", "AS0606": "c1", "AS0701": "identity", "AS0702": "b101",
    "AS0370": "[cat, dog]", "AS0371": "[0.485, 0.456, 0.406]", "AS0470": "stem", "AS0471": "[norm.running_mean]",
    "AS0670": "global_avg_pool", "AS0671": "16x16x8", "AS0672": "16", "AS0673": "softmax", "AS0674": "batch_norm", "AS0675": "crane",
    "AS0472": "augment", "AS0473": '["*"]', "AS0474": "8",
    "AS0676": "[32, 3, 224, 224]", "AS0677": "bias", "AS0678": "cross_entropy",
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(codes().keys() - {"AS0801"}))
def test_the_failing_spec_of_a_page_is_marked_where_it_fails(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = list(blocks((ERRORS / f"{code}.md").read_text(), code))
    fails, fixed = spec_blocks(page, code)
    for block in page:
        if block.all("file") and block is not fixed:
            write(block, tmp_path)
    path = write(fails, tmp_path, fails.one("file", "fails.yaml"))
    _, diagnostics = check(fails.one("path", path.name), sets=shlex.split(fails.one("args"))[1:])
    assert {diagnostic.code for diagnostic in diagnostics} == {code}
    assert {marked(diagnostic.span) for diagnostic in diagnostics} == {MARKS[code]}


# The exact place


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (net('- conv: {out: "3x3/2x", kernel: 1}'), "AS0204", (4, 17, 4, 25)),
        (net("table:\n  columns: [type, out, kernel]\n  rows:\n    - [conv, 4, 3x3/2x]"), "AS0204", (7, 19, 7, 25)),
        (net("- conv:\n    out: 4\n    kernel: 3\n    stride: 0"), "AS0205", (7, 15, 7, 16)),
        (net("- conv: {out: ${n}, kernel: 1}"), "AS0101", (4, 18, 4, 19)),
        (net('- conv: {out: "4 + $m", kernel: 1}'), "AS0401", (4, 23, 4, 24)),
        (net('- conv: {out: "${ 4 + m }", kernel: 1}'), "AS0401", (4, 25, 4, 26)),
        (net("- conv: {out: '${7 / 2 }', kernel: 1}"), "AS0504", (4, 17, 4, 28)),
        (net("- conv: {out: $é, kernel: 1}"), "AS0401", (4, 18, 4, 19)),
        (net("- {name: 深層学習, conv: {out: 0, kernel: 1}}"), "AS0205", (4, 30, 4, 31)),
        (net("- {name: 😀, conv: {out: 0, kernel: 1}}"), "AS0205", (4, 27, 4, 28)),
        (net("- concat:\n    a: []\n    b:\n      - max_pool: {kernel: 2}"), "AS0301", (6, 7, 6, 8)),
    ],
)  # fmt: skip
def test_lines_and_columns_count_characters_from_one(
    text: str, code: str, place: tuple[int, ...]
) -> None:
    diagnostic = the(text, code) if code != "AS0301" else read(text)[1][0]
    span = diagnostic.span
    assert (span.line, span.column, span.end_line, span.end_column) == place


@pytest.mark.parametrize(
    ("value", "mark"),
    [
        ("$m", "m"), ("a $m b", "m"), ('"a ${1 + m} b"', "m"), ("'a ${1 + m} b'", "m"), ('"\\x61 $m"', '"\\x61 $m"'), ("'it''s $m'", "'it''s $m'"),
        ("|\n        $m\n", "| $m"), ("a\n        $m", "a $m"), ('"${n // (n - 4)}"', "n // (n - 4)"), ('"${min(n, wide)}"', "min(n, wide)"),
    ],
)  # fmt: skip
def test_an_expression_is_marked_in_part_where_its_text_stands_as_it_is(
    value: str, mark: str
) -> None:
    text = net(
        f"- name: x\n  conv:\n    kernel: 1\n    out: {value}\n- {{relu: , when: $wide}}",
        args="{n: 4, wide: true}",
    )
    (diagnostic,) = (d for d in read(text)[1] if d.severity == "error")
    assert " ".join(marked(diagnostic.span).split()) == mark


def test_a_default_is_marked_within_its_declaration() -> None:
    for declared, mark in (
        ('"int = ${1 + m}"', "m"),
        ("int  =  $m ", "m"),
        ("'int = \"x\"'", '"x"'),
        ("float = high", "high"),
    ):
        (diagnostic,) = (
            d
            for d in read(net(blocks=f"u: {{args: {{n: {declared}}}, body: [relu]}}"))[1]
            if d.severity == "error"
        )
        assert marked(diagnostic.span) == mark


def test_a_value_is_marked_in_the_cell_that_gave_it() -> None:
    blocks_ = "unit: {args: {patch/stride: patch, n: int}, body: [{conv: {out: $n, kernel: $patch/stride.kernel, stride: $patch/stride.stride}}]}"
    table = "table: {columns: [name, type, patch/stride, n], rows: [[a, unit, 3x3/2, 4], [b, unit, 9x9/2, 4], [c, unit, 3x3/2x, 4], [d, unit, 1x1, 0]]}"
    assert found(net(table, blocks=blocks_)) == [
        ("AS0304", "9x9/2"),
        ("AS0204", "3x3/2x"),
        ("AS0205", "0"),
    ]


def test_a_copied_value_is_marked_where_it_was_written() -> None:
    text = net("- conv: &c {out: 0, kernel: 1}\n- relu\n- conv: *c")
    assert [(d.code, d.span.line, marked(d.span)) for d in read(text)[1]] == [("AS0205", 4, "0")]


def test_an_override_is_marked_in_its_own_text() -> None:
    text = net("- {name: a, conv: {out: 4, kernel: 1}}")
    diagnostic = the(text, "AS0205", "0", sets=["a.kernel=1", "a.out=  0"])
    assert (repr(diagnostic.span), diagnostic.span.source.text) == ("--set:1:9", "a.out=  0")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_every_end_of_line_that_yaml_knows_is_one(end: str) -> None:
    text = net("- relu\n- rellu").replace("\n", end)
    diagnostic = the(text, "AS0203", "rellu")
    assert (diagnostic.span.line, diagnostic.span.column) == (5, 5)


# What a report makes of them


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.tuples(*[st.integers(1, 40)] * 4))
def test_any_span_can_be_shown(text: str, place: tuple[int, int, int, int]) -> None:
    from archspec.diagnostics import Diagnostic

    diagnostic = Diagnostic("AS0101", text, Source(text, text).span(*place), help=text, label=text)
    assert render_text([diagnostic]).count("AS0101") >= 1
    assert render_json([diagnostic])


def test_diagnostics_come_in_the_order_of_the_text() -> None:
    steps = "\n".join(
        f"- {{name: n{i}, conv: {{out: {i % 2}, kernel: 0}}, from: x{i}}}" for i in range(9)
    )
    diagnostics = read(net(steps))[1]
    places = [(d.span.line, d.span.column) for d in diagnostics]
    assert places == sorted(places)
    assert len(places) == 5 + 9 + 9


def test_a_part_of_a_span_stays_within_it() -> None:
    source = Source("t", os.linesep.join(["abc def", "ghi"]))
    span = source.span(1, 5, 1, 8)
    assert marked(span.part(1, 2)) == "e"
    assert marked(span.part(2, 2)) == "f"
    assert span.part(2, 9) == span
    assert source.span(1, 5, 2, 2).part(0, 1) == source.span(1, 5, 2, 2)
