"""Mapping files: rules that name every tensor once, and typos that are errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from archspec.weights.mapping import (
    MAX_BYTES,
    MappingError,
    find_mapping,
    read_mapping,
    shipped_mappings,
)

GOOD = """formats: [state_dict]
where: {n: [1, 2x], role: {w: weight, b: bias}}
rules: {"fc{n}.{role}": "dense.{n}.{role}", last: out.bias}
ignored: {"*.steps": counts steps}
""".replace("[1, ", '["1", ')


def parsed(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "mine.yaml").write_text(text)
    return find_mapping(str(tmp_path / "mine.yaml")).names


def test_a_rule_stands_for_each_of_its_words(tmp_path: Path) -> None:
    assert parsed(tmp_path, GOOD) == {
        "fc1.w": "dense.1.weight",
        "fc1.b": "dense.1.bias",
        "fc2x.w": "dense.2x.weight",
        "fc2x.b": "dense.2x.bias",
        "last": "out.bias",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ignored:", "ignore:", "ignore: Extra inputs are not permitted"),
        ("formats: [state_dict]\n", "", "formats: Field required"),
        ("last: out.bias", "last: 3", "rules.last: Input should be a valid string"),
        ('where: {n: ["1"', "where: {n: [1", "where.n"),
        ("dense.{n}.{role}", "dense.{n}", "have not the same words in braces"),
        ("where: {n:", "where: {m: [x], n:", "`m` in `where` is in no rule"),
        (
            '{n}.{role}": "dense.{n}',
            '{n}.{m}.{role}": "dense.{n}.{m}',
            "`m` in `fc{n}.{m}.{role}` is not in `where`",
        ),
        ("{w: weight, b: bias}", "{w: weight, b: weight}", "two rules give `dense.1.weight`"),
        ("last: out.bias", '"fc1.w": out.bias', "two rules take `fc1.w`"),
        ("last: out.bias", "last: out.bias, last: out.weight", "the key `last` is given twice"),
        ("[state_dict]", "&a [state_dict, *a]", "no aliases"),
        ("[state_dict]", "!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("formats", "channels: gbr\nformats", "channels: Input should be 'rgb' or 'bgr'"),
        ("last: out.bias", "[a, b]: c", "is no mapping"),
        (GOOD, "- 1", "is no mapping"),
        (GOOD, "{", "is no mapping"),
        (GOOD, "[" * 100_000, "is no mapping"),
        (GOOD, "\x00", "is no mapping"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(MappingError) as caught:
        parsed(tmp_path, GOOD.replace(old, new, 1))
    assert message in str(caught.value)


def test_rules_that_stand_for_too_much_are_refused_before_they_are_spelt_out(
    tmp_path: Path,
) -> None:
    letters = "abcdefgh"
    where = ", ".join(f"{letter}: [{', '.join(letters)}]" for letter in letters)
    words = "".join(f"{{{letter}}}" for letter in letters)
    with pytest.raises(MappingError, match="more than 1,000,000 names"):
        parsed(tmp_path, f'formats: []\nwhere: {{{where}}}\nrules: {{"{words}": "{words}"}}\n')


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="no such file"):
        find_mapping(str(tmp_path / "none.yaml"))
    with pytest.raises(MappingError, match="is a directory"):
        read_mapping(tmp_path)
    with pytest.raises(MappingError, match="1 MiB"):
        parsed(tmp_path, "#" * (MAX_BYTES + 1))
    name = next(iter(shipped_mappings()))
    with pytest.raises(MappingError, match=f"did you mean `{name}`"):
        find_mapping(name[:-1])


@pytest.mark.parametrize("name", shipped_mappings())
def test_a_shipped_mapping_says_whose_it_is_and_why_it_ignores(name: str) -> None:
    mapping = find_mapping(name)
    assert mapping.doc
    assert mapping.names
    assert all(mapping.ignored.values())
