"""What is kept for the next time is what would have been worked out anew: no value, edit or text is taken for another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import archspec
from archspec.diagnostics import Report, Source
from archspec.frontend.cache import MAX_CACHED_TEXT, make_op, parse_cached
from archspec.frontend.tree import YamlMap, to_python
from archspec.frontend.yaml import Budget
from archspec.ops import OPS

SPEC = """\
archspec: 1
name: net
input: [3, 8, 8]
args: {width: 4}
network:
  - {name: stem, conv: {out: $width, kernel: 3}}
  - relu
"""


@pytest.mark.parametrize("wrong", [True, 1.0, "1"])
def test_equal_values_of_other_types_are_not_taken_for_each_other(wrong: Any) -> None:
    fields = {"out": 1, "kernel": 1}
    assert make_op(OPS["conv"], fields) is make_op(OPS["conv"], fields)
    for _ in range(2):
        with pytest.raises(ValidationError):
            make_op(OPS["conv"], {**fields, "out": wrong})


def test_fields_are_told_apart_by_name() -> None:
    assert make_op(OPS["conv"], {"out": 2, "kernel": 1, "groups": 2}) != make_op(
        OPS["conv"], {"out": 2, "kernel": 1, "stride": 2}
    )


def test_lists_make_ops_too() -> None:
    op = make_op(OPS["conv"], {"out": 1, "kernel": [3, 5]})
    assert op == make_op(OPS["conv"], {"out": 1, "kernel": (3, 5)})


def test_an_override_does_not_reach_the_next_load(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    wide = archspec.load(path, width=9, sets=["stem.kernel=5"])
    assert wide.graph.nodes[1].shape == (9, 4, 4)
    assert archspec.load(path).graph.nodes[1].shape == (4, 6, 6)


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    before = archspec.load(path)
    path.write_text(SPEC.replace("kernel: 3", "kernel: 5"))
    assert archspec.load(path).graph.nodes[1].shape == (4, 4, 4) != before.graph.nodes[1].shape


def test_what_is_wrong_is_said_every_time() -> None:
    source = Source("net.yaml", "a: 1\na: 2\n")
    for _ in range(2):
        parse_cached(source, report := Report(), Budget())
        assert [found.code for found in report.diagnostics] == ["AS0108"]


@pytest.mark.parametrize("length", [1, MAX_CACHED_TEXT])
def test_every_reading_gives_a_tree_of_its_own_and_takes_its_room(length: int) -> None:
    source = Source("net.yaml", f"a: [1, {'2' * length}]\n")
    first, second = (parse_cached(source, Report(), room := Budget(values=10)) for _ in range(2))
    assert isinstance(first, YamlMap)
    assert isinstance(second, YamlMap)
    first.put(first.key("a"), second)
    assert to_python(second)["a"][0] == 1
    assert room.values == 10 - 5
    parse_cached(source, report := Report(), Budget(values=4))
    assert [found.code for found in report.diagnostics] == ["AS0106"]
