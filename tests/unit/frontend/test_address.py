"""Addresses: how they are read, and what they lead to."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.diagnostics import Report, Source
from archspec.frontend.address import (
    AddressError,
    default_name,
    find_step,
    split_address,
    steps_by_name,
)
from archspec.frontend.tree import Tree, to_python
from archspec.frontend.yaml import parse_yaml


def body(text: str) -> Tree:
    report = Report()
    tree = parse_yaml(Source("t.yaml", text), report)
    assert tree is not None, report.diagnostics
    return tree


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("classes", ["classes"]), ("conv1.out", ["conv1", "out"]), ('a."#3x3"', ["a", "#3x3"]), ("a.#3x3", ["a", "#3x3"]),
        ('"b.1".out', ["b.1", "out"]), ("'b.1'.out", ["b.1", "out"]), ('"a \'b\'".c', ["a 'b'", "c"]), ("'\"'.c", ['"', "c"]),
        (" a . b ", ["a", "b"]), ("pool proj.out", ["pool proj", "out"]), ("a/b.c-d", ["a/b", "c-d"]), ('""', [""]), ("it's.x", ["it's", "x"]),
        ("blocks.max pool.pool.kernel", ["blocks", "max pool", "pool", "kernel"]), ("a.1", ["a", "1"]), ("π", ["π"]),
    ],
)  # fmt: skip
def test_an_address_is_names_with_dots_between(address: str, names: list[str]) -> None:
    assert split_address(address) == names


@pytest.mark.parametrize(
    "address", ["", " ", ".", "a.", ".a", "a..b", '"a', "'a.b", '"a"b', '"a" b.c', 'a."b', "a.b."]
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(AddressError, match="is not an address"):
        split_address(address)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), max_size=8).filter(lambda name: '"' not in name),
        min_size=1,
        max_size=4,
    )
)
def test_any_names_can_be_quoted(names: list[str]) -> None:
    assert split_address(".".join(f'"{name}"' for name in names)) == names


@given(st.text("ab.'\" \t#", max_size=20))
def test_any_text_is_an_address_or_none(text: str) -> None:
    try:
        names = split_address(text)
    except AddressError:
        return
    assert names
    assert (
        split_address(
            ".".join(
                f'"{name}"' if '"' not in name else f"'{name}'" if "'" not in name else name
                for name in names
            )
        )
        == names
    )


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        " " * 200_000,
        "a." * 100_000 + "b",
        '"' * 200_000,
        "a '" * 60_000,
        "' " * 100_000,
    ],
)
def test_long_addresses_are_read_in_no_time(text: str) -> None:
    start = time.process_time()
    try:
        split_address(text)
    except AddressError as error:
        assert len(error.message) < 200
    assert time.process_time() - start < 0.5


BODY = """
- {name: stem, conv: {out: 4, kernel: 1}}
- relu
- concat:
    1x1: [{name: c, conv: {out: 5, kernel: 1}}]
    3x3: [{conv: {out: 6, kernel: 1}}, {conv: {out: 7, kernel: 1}}, relu]
- name: mix
  add:
    x: [{conv: {out: 8, kernel: 1}}]
    y: []
- relu
- name: down
  repeat:
    times: 2
    body:
      - {name: "c$i", conv: {out: 9, kernel: 1}}
      - add: {p: [{dropout: {rate: 0.5}}], q: []}
- table:
    columns: [name, type, out, kernel]
    rows:
      - [t1, conv, 10, 1]
      - {name: n1, lrn: {size: 5}}
      - relu
      - [~, conv, 11, 1]
- {name: relu_5, tanh: }
- relu
- relu
"""


def test_the_steps_of_a_body_have_names() -> None:
    found = steps_by_name(body(BODY))
    assert list(found) == [
        "stem",
        "relu",
        "concat",
        "mix",
        "relu_2",
        "down",
        "t1",
        "n1",
        "relu_3",
        "conv",
        "relu_5",
        "relu_4",
        "relu_6",
    ]
    assert [found[name].kind for name in ("t1", "conv", "relu_5", "down")] == [
        "conv",
        "conv",
        "tanh",
        "repeat",
    ]


@pytest.mark.parametrize(
    ("address", "out"),
    [
        ("stem", 4), ("1x1.c", 5), ("concat.1x1.c", 5), ("3x3.conv", 6), ("concat.3x3.conv_2", 7), ("mix_x.conv", 8), ("mix.x.conv", 8),
        ("down.c$i", 9), ("t1", 10), ("conv", 11),
    ],
)  # fmt: skip
def test_a_step_is_found_by_its_neutral_path(address: str, out: int) -> None:
    place, rest = find_step(body(BODY), split_address(address))
    assert rest == []
    assert out in (
        to_python(place.step) if place.columns else to_python(place.step)["conv"].values()
    )


def test_a_step_deep_inside_is_found() -> None:
    place, rest = find_step(body(BODY), ["down", "p", "dropout", "rate"], keep=1)
    assert (to_python(place.step), rest) == ({"dropout": {"rate": 0.5}}, ["rate"])


def test_what_is_behind_a_step_is_left() -> None:
    assert find_step(body(BODY), ["stem", "out"])[1] == ["out"]
    assert find_step(body(BODY), ["down", "times"], keep=1)[1] == ["times"]
    assert find_step(body(BODY), ["concat", "1x1"], keep=1)[1] == ["1x1"]


@pytest.mark.parametrize(
    ("address", "message", "help"),
    [
        ("sten", "no step is called `sten`", "did you mean `stem`?"),
        (
            "3x3.tanh",
            "`3x3.tanh` names nothing: no step is called `tanh`",
            "known steps: `conv`, `conv_2`, `relu`",
        ),
        ("1x1", "`1x1` is a body, not a step", "inside it"),
        ("concat.1x1", "`concat.1x1` is a body, not a step", "inside it"),
        ("x.conv", "no step is called `x`", "known steps"),
    ],
)
def test_a_path_that_leads_nowhere(address: str, message: str, help: str) -> None:
    with pytest.raises(AddressError) as caught:
        find_step(body(BODY), split_address(address))
    assert message in caught.value.message
    assert help in caught.value.help


def test_numbers_begin_with_the_second() -> None:
    counts: dict[str, int] = {}
    assert [default_name("a.b", counts, set()) for _ in range(3)] == ["a_b", "a_b_2", "a_b_3"]
    assert default_name("relu", {}, {"relu", "relu_2"}) == "relu_3"
