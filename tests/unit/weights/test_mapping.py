"""Mapping files: rules that name every tensor once, and typos that are errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from archspec.diagnostics import SpecError
from archspec.weights.mapping import (
    MAX_BYTES,
    MappingError,
    find_mapping,
    parse_mapping,
    read_mapping,
    shipped_mappings,
)
from archspec.weights.mapping_rules import TensorSource

GOOD = """formats: [state_dict]
where: {n: ["1", 2x], role: {w: weight, b: bias}}
rules: {"fc{n}.{role}": "dense.{n}.{role}", last: out.bias}
ignored: {"*.steps": counts steps}
"""


def names(text: str) -> dict[str, str]:
    return {ours: source.name for ours, source in parse_mapping(text).sources.items()}


def test_a_rule_stands_for_each_of_its_words() -> None:
    assert names(GOOD) == {
        "dense.1.weight": "fc1.w",
        "dense.1.bias": "fc1.b",
        "dense.2x.weight": "fc2x.w",
        "dense.2x.bias": "fc2x.b",
        "out.bias": "last",
    }


def test_whole_numbers_are_names_as_they_are_spelt() -> None:
    text = 'where: {a: {1: 0, 02: 01}, b: [0, 1e1]}\nrules: {"l{a}.{b}": "m.{a}.{b}", 7: n}\n'
    assert names(text) == {
        "m.0.0": "l1.0",
        "m.0.1e1": "l1.1e1",
        "m.01.0": "l02.0",
        "m.01.1e1": "l02.1e1",
        "n": "7",
    }


def test_a_rule_says_how_a_tensor_lies() -> None:
    text = """prefix: net/
where: {n: [1]}
rules:
  "fc{n}": {to: "fc{n}.weight", transpose: in_out, rows: hwc}
  "qkv{n}": {split: ["q{n}.weight", "k{n}.weight"]}
  "mean{n}": {to: "bn{n}.running_mean", divide_by: "factor{n}"}
  "var{n}": {to: "bn{n}.running_var", divide_by: 2.5}
"""
    both = ("q1.weight", "k1.weight")
    assert parse_mapping(text).sources == {
        "fc1.weight": TensorSource("net/fc1", "in_out", "hwc"),
        "q1.weight": TensorSource("net/qkv1", split=both),
        "k1.weight": TensorSource("net/qkv1", split=both),
        "bn1.running_mean": TensorSource("net/mean1", divide_by="net/factor1"),
        "bn1.running_var": TensorSource("net/var1", divide_by="2.5"),
    }


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "message"),
    [
        ("ignored:", "ignore:", "AS0202", 4, "unknown key `ignore` in `mapping`"),
        ("rules: ", "# rules: ", "AS0207", 1, "`mapping` needs a value for `rules`"),
        ("last: out.bias", "last: [3]", "AS0204", 3, "`last` takes a mapping, found list"),
        ("last: out.bias", "last: {too: b}", "AS0202", 3, "unknown key `too` in `last`"),
        ("last: out.bias", "last: {rows: hwc}", "AS0205", 3, "needs either `to` or `split`"),
        ("last: out.bias", "last: {to: b, rows: cwh}", "AS0204", 3, "one of `chw`, `hwc`"),
        ("last: out.bias", "last: {to: b, transpose: 1}", "AS0204", 3, "`in_out`, `none`"),
        ('where: {n: ["1"', "where: {n: [[1]", "AS0204", 2, "`n` takes a list of texts or a mapp"),
        ("dense.{n}.{role}", "dense.{n}", "AS0205", 3, "have not the same words in braces"),
        ("last: out.bias", "last: {to: b, divide_by: 0}", "AS0205", 3, "other than 0, found `0`"),
        ("last: out.bias", "last: {to: b, divide_by: -0e3}", "AS0205", 3, "found `-0e3`"),
        ("last: out.bias", "last: {to: b, divide_by: .nan}", "AS0205", 3, "found `.nan`"),
        ("last: out.bias", "last: {to: b, divide_by: nan}", "AS0205", 3, "found `nan`"),
        ("last: out.bias", "last: {to: b, divide_by: 1e999}", "AS0205", 3, "found `1e999`"),
        ("where: {n:", "where: {m: [x], n:", "AS0205", 2, "`m` in `where` is in no rule"),
        ('{n}.{role}": "d', '{n}.{m}.{role}": "{m}d', "AS0205", 3, "`m` in `fc{n}.{m}.{role}` is"),
        ("{w: weight, b: bias}", "{w: weight, b: weight}", "AS0108", 3, "give `dense.1.weight`"),
        ("last: out.bias", '"fc1.w": out.bias', "AS0108", 3, "two rules take `fc1.w`"),
        ("last: out.bias", "last: a, last: b", "AS0108", 3, "the key `last` is given twice"),
        ("[state_dict]", "&a [state_dict, *a]", "AS0107", 1, "the alias `*a` holds itself"),
        ("[state_dict]", "!!python/object/apply:os.getcwd []", "AS0104", 1, "unknown tag"),
        ("formats", "channels: gbr\nformats", "AS0204", 1, "`channels` takes one of `rgb`, `bgr`"),
        ("last: out.bias", "[a, b]: c", "AS0101", 3, "a key has to be a name"),
        ("\nrules:", "\nrules", "AS0101", 3, ""),
        (GOOD, "- 1", "AS0204", 1, "a mapping file is a mapping of keys, found a list"),
        (GOOD, "{", "AS0101", 1, "this does not end"),
        (GOOD, "[" * 100_000, "AS0105", 1, "nested more than"),
        (GOOD, "\x00", "AS0101", 1, "the character U+0000"),
        (GOOD, "# nothing\n", "AS0201", 1, "the mapping is empty"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(
    old: str, new: str, code: str, line: int, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(SpecError) as caught:
        parse_mapping(GOOD.replace(old, new, 1))
    first = caught.value.diagnostics[0]
    assert (first.code, first.span.line) == (code, line)
    assert message in first.message
    assert "Input should" not in str(caught.value)


def test_a_divisor_is_told_at_its_number() -> None:
    text = 'where: {n: [1, 0]}\nrules:\n  "a{n}":\n    to: "b{n}"\n    divide_by: "{n}"\n'
    with pytest.raises(SpecError, match="found `0`") as caught:
        parse_mapping(text)
    (found,) = caught.value.diagnostics
    assert (found.code, found.span.line, found.span.column) == ("AS0205", 5, 16)


def test_rules_that_stand_for_too_much_are_refused_before_they_are_spelt_out() -> None:
    letters = "abcdefgh"
    where = ", ".join(f"{letter}: [{', '.join(letters)}]" for letter in letters)
    words = "".join(f"{{{letter}}}" for letter in letters)
    with pytest.raises(SpecError, match="more than 1,000,000 names"):
        parse_mapping(f'where: {{{where}}}\nrules: {{"{words}": "{words}"}}\n')


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="no such file"):
        find_mapping(str(tmp_path / "none.yaml"))
    with pytest.raises(MappingError, match="is a directory"):
        read_mapping(tmp_path)
    (tmp_path / "long.yaml").write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(MappingError, match="1 MiB"):
        find_mapping(str(tmp_path / "long.yaml"))
    name = next(iter(shipped_mappings()))
    with pytest.raises(MappingError, match=f"did you mean `{name}`"):
        find_mapping(name[:-1])


@pytest.mark.parametrize("name", shipped_mappings())
def test_a_shipped_mapping_says_whose_it_is_and_why_it_ignores(name: str) -> None:
    mapping = find_mapping(name)
    assert mapping.file.doc
    assert mapping.sources
    assert all(mapping.file.ignored.values())
