"""What `show` prints reads back as the same spec, and says where each value came from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archspec import load
from archspec.diagnostics import Report, Source
from archspec.frontend.files import shipped_folder
from archspec.frontend.tree import YamlList, YamlMap, YamlScalar, to_python
from archspec.frontend.yaml import parse_yaml, resolve_scalar
from archspec.frontend.yaml_writer import annotated_yaml, scalar_text, yaml_text
from tests.helpers.language import good, net, outline


def again(spec: Any) -> Any:
    return good(annotated_yaml(spec.tree))


@pytest.mark.parametrize(
    "path", sorted(shipped_folder().glob("*.yaml")), ids=lambda path: path.stem
)
def test_a_shown_spec_is_the_same_network(path: Path) -> None:
    spec = load(path)
    found = again(spec)
    assert outline(found) == outline(spec)
    assert found.document == spec.document
    assert found.name == spec.name


def test_a_shown_variant_needs_its_base_no_more() -> None:
    base = net("- {name: a, conv: {out: $n, kernel: 3}}\n- relu", args="{n: 4}") + "name: Base\n"
    spec = good(
        "archspec: 1\nextends: b.yaml\nargs: {n: 6}\nedit: [{insert_after: {a: batch_norm}}]\n",
        files={"b.yaml": base},
        sets=["a.kernel=1"],
    )
    shown = annotated_yaml(spec.tree)
    assert "extends" not in shown
    assert "edit" not in shown
    assert outline(good(shown)) == outline(spec)


def test_edits_of_a_spec_of_its_own_are_not_made_twice() -> None:
    spec = good(net("- {name: a, relu: }") + "edit: [{insert_after: {a: flatten}}]\n")
    assert outline(again(spec)) == outline(spec)


def test_each_line_names_its_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(
        "archspec: 1\ninput: [3, 8, 8]\nargs: {n: 4, m: 1}\nnetwork:\n  - {name: a, conv: {out: $n, kernel: $m}}\n  - relu\n"
    )
    Path("v.yaml").write_text(
        "archspec: 1\nextends: base.yaml\nargs:\n  n: 6\nedit:\n  - set: {a.bias: false}\n"
    )
    lines = {
        line.split("#")[0].strip(): line.rpartition("# ")[2]
        for line in annotated_yaml(load("v.yaml", sets=["m=3"]).tree).splitlines()
    }
    assert lines["input: [3, 8, 8]"] == "base.yaml:2"
    assert lines["n: 6"] == "v.yaml:4"
    assert lines["m: 3"] == "--set:1"
    assert lines["- relu"] == "base.yaml:6"
    assert lines["- {name: a, conv: {out: $n, kernel: $m, bias: false}}"] == "base.yaml:5, v.yaml:6"


PRINTED = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "no",
        "1e3",
        "~",
        "- a",
        "a: b",
        "#x",
        " x",
        "x ",
        "---",
        "...",
        "[",
        "$a",
        "é",
        "\x1b[0m",
        "0x1F",
        "null",
        ".inf",
    ]
)


def scalar(value: Any, spelt: str | None = None) -> YamlScalar:
    return YamlScalar(
        value, str(value) if spelt is None else spelt, Source("t", ""), (1, 1), (1, 1)
    )


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), PRINTED))
@example(math.inf)
@example(-math.inf)
@example(math.nan)
@example(1e22)
def test_a_scalar_reads_back_as_itself(value: Any) -> None:
    report = Report()
    found = parse_yaml(
        Source("t.yaml", f"k: {scalar_text(scalar(value))}\nl: [{scalar_text(scalar(value))}]\n"),
        report,
    )
    assert found is not None, report.diagnostics
    for back in (to_python(found)["k"], to_python(found)["l"][0]):
        if isinstance(value, float) and math.isnan(value):
            assert math.isnan(back)
        else:
            assert (back, type(back)) == (value, type(value))


@given(
    st.sampled_from(
        ["1e-3", "0x1F", "0o17", "017", "1.50", "+3", "TRUE", "Null", "-.INF", "1_000", "no"]
    )
)
def test_a_number_is_printed_as_it_was_written(spelt: str) -> None:
    value = resolve_scalar(spelt)
    printed = scalar_text(scalar(value, spelt))
    assert resolve_scalar(printed) == value or printed == f'"{spelt}"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        assert printed == spelt


KEYS = PRINTED.filter(lambda key: len(key) < 1000)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), PRINTED),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5))
@example({"k" * 120: [], "l" * 120: {}, "m": [[], {}]})
def test_any_tree_reads_back(value: dict[str, Any]) -> None:
    def build(part: Any) -> Any:
        if isinstance(part, dict):
            return YamlMap(
                {key: (scalar(key), build(inner)) for key, inner in part.items()},
                Source("t", ""),
                (1, 1),
                (1, 1),
            )
        return (
            YamlList([build(inner) for inner in part], Source("t", ""), (1, 1), (1, 1))
            if isinstance(part, list)
            else scalar(part)
        )

    for written in (annotated_yaml(build(value)), yaml_text(value)):
        report = Report()
        found = parse_yaml(Source("t.yaml", written), report)
        assert found is not None, (written, report.diagnostics)
        assert to_python(found) == value


def test_a_very_long_name_is_shown_and_read() -> None:
    name = "k" * 5000
    spec = good(
        net(
            f"- {{name: {name}, relu: }}\n- unit",
            blocks=f"? {name}\n: {{body: [flatten]}}\nunit: {{body: [{name}]}}",
        )
    )
    assert outline(again(spec)) == outline(spec)


def test_a_comment_cannot_be_broken_out_of() -> None:
    tree = YamlMap(
        {
            "a": (
                scalar("a"),
                YamlScalar(1, "1", Source("x\ny: 2 # \u2028z: 3", ""), (1, 1), (1, 1)),
            )
        },
        Source("t", ""),
        (1, 1),
        (1, 1),
    )
    assert annotated_yaml(tree).splitlines() == ["a: 1  # x y: 2 #  z: 3:1"]
