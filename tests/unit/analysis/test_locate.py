"""Which layers a line or a path of a spec means."""

from __future__ import annotations

from pathlib import Path

import pytest

from archspec.analysis.locate import at_line, at_path, group_equal
from archspec.compiler import load
from archspec.diagnostics import Failure, UsageError
from archspec.frontend.loader import Spec

TEXT = """\
archspec: 1
input: [3, 8, 8]
blocks:
  unit:
    args: {out: int}
    body:
      - conv: {out: $out, kernel: 3, padding: 1}
      - relu
network:
  - {name: one, unit: {out: 4}}
  - {name: two, unit: {out: 4}}
  - {name: three, unit: {out: 4}}
  - name: split
    concat: {left: [{unit: {out: 2}}], right: [relu]}
  - {name: "x:y", sigmoid: }
"""


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    path = tmp_path / "net.yaml"
    path.write_text(TEXT)
    return load(path)


@pytest.mark.parametrize(
    ("line", "column", "paths"),
    [
        (7, None, ["one.conv", "two.conv", "three.conv", "split_left.unit.conv"]),
        (8, None, ["one.relu", "two.relu", "three.relu", "split_left.unit.relu"]),
        (11, None, ["two.conv", "two.relu"]),
        (14, None, ["split_left.unit.conv", "split_left.unit.relu", "split_right.relu", "split"]),
        (14, 48, ["split_right.relu"]),
    ],
)
def test_layers_of_a_line(spec: Spec, line: int, column: int | None, paths: list[str]) -> None:
    assert [node.path for node in at_line(spec.graph, spec.path, line, column)] == paths


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("two.conv", ["two.conv"]),
        ("two.conv.bias", ["two.conv"]),
        ("two", ["two.conv", "two.relu"]),
        ("split", ["split"]),
        ("split_left", ["split_left.unit.conv", "split_left.unit.relu"]),
        ("x:y", ["x:y"]),
    ],
)
def test_layers_of_a_path(spec: Spec, path: str, paths: list[str]) -> None:
    assert [node.path for node in at_path(spec.graph, path)] == paths


@pytest.mark.parametrize(
    ("line", "help"),
    [
        (2, "the nearest lines with layers: 7"),
        (9, "the nearest lines with layers: 8 and 10"),
        (99, "the nearest lines with layers: 15"),
    ],
)
def test_a_line_without_layers(spec: Spec, line: int, help: str) -> None:
    with pytest.raises(Failure, match=f"no layer is written at .*:{line}") as caught:
        at_line(spec.graph, spec.path, line)
    assert isinstance(caught.value, UsageError)
    assert caught.value.help == help


def test_a_file_without_layers_of_its_own(spec: Spec) -> None:
    with pytest.raises(Failure) as caught:
        at_line(spec.graph, "variant.yaml", 3)
    assert "extends" in caught.value.help


def test_an_unknown_path_is_answered_with_the_nearest(spec: Spec) -> None:
    with pytest.raises(Failure) as caught:
        at_path(spec.graph, "two.cnv")
    assert isinstance(caught.value, UsageError)
    assert caught.value.help == "did you mean `two.conv`?"


def test_layers_are_alike_where_fields_and_inputs_are(spec: Spec) -> None:
    """The first convolution reads 3 channels, the second and third 4, and that of the branch has another width."""
    groups = group_equal(spec.graph, at_line(spec.graph, spec.path, 7))
    assert [[node.path for node in group] for group in groups] == [
        ["one.conv"],
        ["two.conv", "three.conv"],
        ["split_left.unit.conv"],
    ]
