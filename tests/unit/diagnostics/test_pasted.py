"""Pasted characters: sizes with a multiplication sign are read, the others are named."""

from __future__ import annotations

import pytest

from archspec.diagnostics.pasted import describe_pasted
from archspec.ir.types import Patch, parse_size
from tests.helpers.language import good, net, read


@pytest.mark.parametrize("text", ["28x30", "28\u00d730", "28 x 30", "28 \u00d7 30"])
def test_sizes_as_papers_print_them(text: str) -> None:
    assert parse_size(text) == (28, 30)
    assert Patch.parse(f"{text} / 2") == Patch((28, 30), (2,))


@pytest.mark.parametrize("text", ["28\u00d7", "28  x 30", "28*30", "2 8x30", "x30", "\u0664x5"])
def test_what_is_no_size(text: str) -> None:
    assert parse_size(text) == text


def test_a_spec_with_multiplication_signs() -> None:
    steps = "- {conv: {out: 4, kernel: 3\u00d75, padding: 1\u00d72}, output: 8\u00d78\u00d74}"
    assert good(net(steps)).graph.nodes[1].shape == (4, 8, 8)
    block = (
        "unit: {args: {p: patch}, body: [{conv: {out: 4, kernel: $p.kernel, stride: $p.stride}}]}"
    )
    assert good(net("- unit: {p: 3\u00d73/2}", blocks=block)).graph.nodes[1].shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("char", "code", "write"),
    [
        ("\u00a0", "U+00A0", "a space"),
        ("\u3000", "U+3000", "a space"),
        ("\u2013", "U+2013", "`-`"),
        ("\u2212", "U+2212", "`-`"),
        ("\u201c", "U+201C", '`"`'),
        ("\u2019", "U+2019", "`'`"),
        ("\uff13", "U+FF13", "`3`"),
        ("\uff1a", "U+FF1A", "`:`"),
        ("\uff0c", "U+FF0C", "`,`"),
        ("\u200b", "U+200B", "nothing"),
        ("\u00b2", "U+00B2", "`2`"),
    ],
)
def test_each_is_named_with_what_to_write(char: str, code: str, write: str) -> None:
    remark = describe_pasted(f"stride{char}1")
    assert f" is {code}, " in remark
    assert remark.endswith(f": write {write}")


@pytest.mark.parametrize("text", ["", "kernel", "\u6df1\u5c64", "\u00e9", "\U0001f600", "\u03b1"])
def test_letters_of_other_scripts_are_left_alone(text: str) -> None:
    assert describe_pasted(text) == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (net("- {conv: {out: 4, kernel\u00a0: 3}}"), "NO-BREAK SPACE"),
        (net("- {conv: {out: \uff14, kernel: 3}}"), "FULLWIDTH DIGIT FOUR"),
        (net("- conv\uff1a{out: 4, kernel: 3}"), "FULLWIDTH COLON"),
        (net("- {conv: {out: 4\uff0ckernel: 3}}"), "FULLWIDTH COMMA"),
        (net("- {conv: {out: 4, kernel: 3}}\n\u00a0- relu"), "NO-BREAK SPACE"),
        (net("\u2013 relu"), "EN DASH"),
        (net("- {name: b, relu: }\n- {from: \u201cb\u201d, tanh: }"), "LEFT DOUBLE QUOTATION MARK"),
        (net("- {leaky_relu: {slope: \u22120.1}}"), "MINUS SIGN"),
        (net("- {conv: {out: 4, kernel: 3\u200b}}"), "ZERO WIDTH SPACE"),
        (net(input="[3, 8\u00a0, 8]"), "NO-BREAK SPACE"),
    ],
)
def test_an_error_names_the_character(text: str, name: str) -> None:
    _, diagnostics = read(text)
    assert any(name in note.text for d in diagnostics for note in d.notes), diagnostics


def test_what_is_no_error_may_hold_any_character() -> None:
    text = net("- {name: \u201cx\u201d, relu: }", source="{title: 'Deep \u2013 very deep'}")
    assert read(text)[1] == ()
    _, diagnostics = read(net("- relu\n- {name: \u00d7\u00d7, conv: {out: 0, kernel: 1}}"))
    assert [note for d in diagnostics for note in d.notes] == []
