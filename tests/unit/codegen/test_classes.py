"""One class for one structure: the values that differ are parameters, named as in the block."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import archspec
from archspec.frontend.files import shipped_folder
from tests.helpers.emitted import run_source, source
from tests.helpers.specs import checked

HEAD = "archspec: 1\nname: net\n"


def classes(text: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


def parameters(node: ast.ClassDef) -> list[str]:
    """The constructor's parameters, with their defaults."""
    inits = [
        each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    ]
    if not inits:
        return []
    args = inits[0].args
    defaults = [None] * (len(args.args) - len(args.defaults)) + [
        f" = {ast.unparse(each)}" for each in args.defaults
    ]
    return [
        ast.unparse(arg) + (default or "") for arg, default in zip(args.args, defaults, strict=True)
    ][1:]


def assigned(node: ast.ClassDef) -> dict[str, str]:
    """What each attribute is built by."""
    targets = {item.targets[0]: ast.unparse(item.value) for item in _assignments(node)}
    return {
        target.attr: value for target, value in targets.items() if isinstance(target, ast.Attribute)
    }


def _assignments(node: ast.ClassDef) -> Iterator[ast.Assign]:
    for each in ast.walk(node):
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Attribute):
            yield each


BLOCK = """input: [3, 16, 16]
blocks:
  unit:
    args: {patch/stride: patch, out: int}
    body:
      - conv:
          out: $out
          kernel: "${patch/stride.kernel}"
          stride: "${patch/stride.stride}"
          padding: symmetric
      - batch_norm
      - relu
"""


def test_instances_that_differ_in_values_share_a_class() -> None:
    text = (
        BLOCK
        + "network:\n"
        + "  - {unit: {patch/stride: 3x3/2, out: 8}}\n"
        + "  - {unit: {patch/stride: 1x1/1, out: 4}}\n"
    )
    found = classes(source(checked(HEAD + text).graph))
    assert list(found) == ["Unit", "Net"]
    assert parameters(found["Unit"]) == [
        "in_channels: int",
        "out: int",
        "kernel: int",
        "stride: int = 1",
    ]
    assert assigned(found["Unit"]) == {
        "conv": "nn.Conv2d(in_channels, out, kernel, stride=stride, padding=kernel // 2)",
        "batch_norm": "nn.BatchNorm2d(out)",
        "relu": "nn.ReLU(inplace=True)",
    }
    assert assigned(found["Net"]) == {
        "unit": "Unit(3, 8, kernel=3, stride=2)",
        "unit_2": "Unit(8, 4, kernel=1)",
    }


def test_what_never_varies_is_no_parameter() -> None:
    text = (
        BLOCK
        + "network: [{unit: {patch/stride: 3x3, out: 8}}, {unit: {patch/stride: 3x3, out: 4}}]\n"
    )
    found = classes(source(checked(HEAD + text).graph))
    # The kernel comes from an argument, which stays one; the stride is 1 by that argument too.
    assert assigned(found["Net"])["unit"] == "Unit(3, 8, kernel=3)"


def test_one_instance_reads_as_a_class_for_many() -> None:
    found = classes(
        source(checked(HEAD + BLOCK + "network: [{unit: {patch/stride: 3x3/2, out: 8}}]\n").graph)
    )
    assert (
        assigned(found["Unit"])["conv"]
        == "nn.Conv2d(in_channels, out, kernel, stride=stride, padding=kernel // 2)"
    )


def test_other_structures_get_other_classes() -> None:
    text = """input: [4, 8, 8]
blocks:
  unit:
    args: {act: bool}
    body: [{conv: {out: 4, kernel: 1}}, {when: $act, relu: ~}, batch_norm]
network: [{unit: {act: true}}, {unit: {act: false}}, {name: third, unit: {act: true}}]
"""
    found = classes(source(checked(HEAD + text).graph))
    assert list(found) == ["Unit", "Unit2", "Net"]
    assert assigned(found["Net"]) == {"unit": "Unit(4)", "unit_2": "Unit2(4)", "third": "Unit(4)"}


def test_a_scope_of_one_layer_is_that_layer() -> None:
    text = """input: [4, 8, 8]
blocks:
  pool: {args: {patch: patch}, body: [{max_pool: {kernel: $patch.kernel, stride: $patch.stride}}]}
  outer: {body: [{pool: {patch: 3x3/2}}]}
network: [{name: a, pool: {patch: 2x2/2}}, {name: b, outer: ~}]
"""
    found = classes(source(checked(HEAD + text).graph))
    assert assigned(found["Net"]) == {"a": "nn.MaxPool2d(2)", "b": "nn.MaxPool2d(3, stride=2)"}


def test_a_branch_of_several_steps_is_a_sequence_with_names() -> None:
    text = """input: [4, 8, 8]
network:
  - concat:
      left: [{conv: {out: 2, kernel: 1}}]
      right: [{name: a, conv: {out: 2, kernel: 1}}, {name: b 1, relu: ~}]
      same: []
"""
    found = classes(source(checked(HEAD + text).graph))
    assert assigned(found["Net"]) == {
        "left": "nn.Conv2d(4, 2, 1)",
        "right": "nn.Sequential(OrderedDict(a=nn.Conv2d(4, 2, 1), b_1=nn.ReLU(inplace=True)))",
    }
    assert "return torch.cat([self.left(x), self.right(x), x], dim=1)" in source(
        checked(HEAD + text).graph
    )


def test_channels_are_spoken_not_counted() -> None:
    text = """input: [4, 8, 8]
blocks:
  unit:
    args: [a, b]
    body:
      - concat:
          left: [{conv: {out: $a, kernel: 1}}]
          right: [{conv: {out: $b, kernel: 1}}]
          same: []
      - batch_norm
      - conv: {out: "${a + b}", kernel: 1, groups: "${b / 2}"}
      - flatten
      - linear: {out: "${2 * a if b > 4 else a}"}
network: [{unit: {a: 2, b: 2}}]
"""
    found = classes(source(checked(HEAD + text).graph))
    assert assigned(found["Unit"]) == {
        "left": "nn.Conv2d(in_channels, a, 1)",
        "right": "nn.Conv2d(in_channels, b, 1)",
        "batch_norm": "nn.BatchNorm2d(a + b + in_channels)",
        "conv": "nn.Conv2d(a + b + in_channels, a + b, 1, groups=b // 2)",
        "flatten": "nn.Flatten()",
        "linear": "nn.Linear((a + b) * 8 * 8, 2 * a if b > 4 else a)",
    }


def test_a_value_that_no_argument_stands_for_becomes_a_parameter() -> None:
    text = """input: [4, 9, 9]
blocks:
  unit:
    body: [{conv: {out: 4, kernel: 3, stride: 2, padding: same}}, relu, batch_norm]
network: [unit, {name: b, unit: ~}, {name: c, unit: ~}]
"""
    found = classes(
        source(checked(HEAD + text).graph)
    )  # 9 -> 5 -> 3 -> 2: all pad one on each side
    assert assigned(found["Unit"])["conv"] == "nn.Conv2d(in_channels, 4, 3, stride=2, padding=1)"
    uneven = text.replace("[4, 9, 9]", "[4, 10, 16]")  # 10x16 -> 5x8 -> 3x4
    found = classes(source(checked(HEAD + uneven).graph))
    assert parameters(found["Unit"]) == ["in_channels: int", "sides: tuple[int, int, int, int]"]
    assert assigned(found["Net"]) == {
        "unit": "Unit(4, sides=(0, 1, 0, 1))",
        "b": "Unit(4, sides=(0, 1, 1, 1))",
        "c": "Unit(4, sides=(0, 1, 1, 1))",
    }


def test_arguments_of_the_network_reach_the_blocks_that_use_them() -> None:
    text = """input: [4, 8, 8]
args: {classes: 10, rate: 0.5}
blocks:
  head: {body: [flatten, {dropout: {rate: $rate}}, {linear: {out: $classes}}]}
network: [{name: h, head: ~}]
"""
    found = classes(source(checked(HEAD + text).graph))
    assert parameters(found["Head"]) == ["in_channels: int", "classes: int", "rate: float"]
    assert parameters(found["Net"]) == ["classes: int = 10", "rate: float = 0.5"]
    assert assigned(found["Net"]) == {"h": "Head(4, classes, rate=rate)"}


def test_a_parameter_of_the_network_that_cannot_be_changed_alone_is_none() -> None:
    text = """input: [4, 8, 8]
args: {width: 4}
network:
  - conv: {out: $width, kernel: 1}
  - add: {a: [{conv: {out: 4, kernel: 1}}], b: []}
"""
    net = classes(source(checked(HEAD + text).graph))["Net"]
    assert parameters(net) == []
    assert assigned(net)["conv"] == "nn.Conv2d(4, 4, 1)"


@pytest.mark.parametrize("name", sorted(path.stem for path in shipped_folder().glob("*.yaml")))
def test_a_network_can_be_built_with_other_arguments_than_the_specs(name: str) -> None:
    spec = archspec.load(name)
    module = run_source(source(spec.graph))
    network = type(module.build_model())
    for param in list(inspect.signature(network.__init__).parameters.values())[1:]:
        other: Any = param.default + 1 if isinstance(param.default, int) else param.default / 2
        with torch.device("meta"):
            model = network(**{param.name: other})
        expected = archspec.load(name, **{param.name: other}).graph
        assert sum(p.numel() for p in model.parameters()) == sum(
            p.size for _, _, p in expected.parameters() if p.trainable
        )
        assert model(torch.empty(2, *expected.input, device="meta")) is not None


def test_rows_of_a_table_stand_in_columns() -> None:
    text = """input: [4, 8, 8]
blocks:
  unit:
    args: [a, bb, wide]
    body:
      - concat:
          x: [{conv: {out: $a, kernel: 1}}]
          y: [{conv: {out: $bb, kernel: 1}}, {conv: {out: $wide, kernel: 1}}]
network:
  - table:
      columns: [name, type, a, bb, wide, kernel]
      rows:
        - [one, unit, 1, 20, 3, ~]
        - [pool, max_pool, ~, ~, ~, 2]
        - [second, unit, 100, 2, 3, ~]
"""
    lines = source(checked(HEAD + text).graph).splitlines()
    start = lines.index("        # fmt: off")
    assert lines[start + 1 : start + 6] == [
        "        #                  in    a  bb  wide",
        "        self.one    = Unit( 4,   1, 20,    3)",
        "        self.pool = nn.MaxPool2d(2)",
        "        self.second = Unit( 4, 100,  2,    3)",
        "        # fmt: on",
    ]
