"""The JSON Schema lets every good spec through and stops typos, so that an editor helps and never hinders."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from archspec.diagnostics import Report, Source
from archspec.frontend.files import shipped_folder
from archspec.frontend.network import SPEC_KEYS
from archspec.frontend.schema import json_schema
from archspec.frontend.step_keys import RESERVED_KEYS
from archspec.frontend.template import starter_spec
from archspec.frontend.tree import to_python
from archspec.frontend.yaml import parse_yaml
from archspec.ir.document import Document
from archspec.ops import OPS
from tests.helpers.error_pages import spec_blocks
from tests.helpers.language import good, net
from tests.helpers.markdown import blocks

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted((DOCS / "errors").glob("AS*.md"))
FORM = {"AS0201", "AS0202", "AS0203", "AS0204", "AS0205", "AS0206", "AS0207"}
"""What a schema can see: the form of a value that stands by itself."""


@functools.cache
def validator() -> Any:
    found = json_schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def faults(text: str) -> list[str]:
    tree = parse_yaml(Source("t.yaml", text), Report())
    assert tree is not None
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:100]}"
        for error in validator().iter_errors(to_python(tree))
    ]


def test_the_schema_is_one() -> None:
    assert json.loads(json.dumps(json_schema())) == json_schema()
    assert validator()


def test_the_schema_knows_every_key_and_op() -> None:
    found = json_schema()
    assert set(found["properties"]) == set(SPEC_KEYS)
    assert set(found["properties"]) >= set(Document.model_fields)
    step = found["$defs"]["step"]["anyOf"][1]["properties"]
    assert set(step) == {*RESERVED_KEYS, *OPS, "repeat", "table"}
    for kind, op in OPS.items():
        if not op.variadic:
            assert set(found["$defs"][f"op.{kind}"]["properties"]) == set(op.model_fields)


def test_every_option_is_described() -> None:
    for name, part in json_schema()["$defs"].items():
        if name.startswith("op."):
            assert part["description"]
            assert all(field.get("description") for field in part["properties"].values()), name


@pytest.mark.parametrize(
    "path", sorted(shipped_folder().glob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_specs_pass(path: Path) -> None:
    assert faults(path.read_text()) == []


def test_the_starter_passes() -> None:
    assert faults(starter_spec("digits")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_fixed_specs_of_the_error_pages_pass(page: Path) -> None:
    _, fixed = spec_blocks([*blocks(page.read_text(), page.name)], page.name)
    assert faults(fixed.body) == []


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.stem in FORM - {"AS0203", "AS0206", "AS0207"}],
    ids=lambda page: page.stem,
)
def test_mistakes_of_form_are_stopped(page: Path) -> None:
    fails, _ = spec_blocks([*blocks(page.read_text(), page.name)], page.name)
    assert faults(fails.body), "an editor would show nothing"


@pytest.mark.parametrize(
    "text",
    [
        net("- conv: {out: 4, kernal: 3, kernel: 3}"), net("- conv: {kernel: 3}"), net("- conv: {out: four, kernel: 3}"), net("- conv: {out: 0, kernel: 3}"),
        net("- conv: {out: 4, kernel: 3x}"), net("- conv: {out: 4, kernel: [1, 2, 3, 4]}"), net("- conv: {out: 4, kernel: 3, padding: sme}"),
        net("- dropout: {rate: 1.5}"), net("- dropout: {rate: high}"), net("- linear: 10"), net("- relu: {slope: 1}"), net("- concat: [[relu], [tanh]]"),
        net("- repeat: {time: 3, body: []}"), net("- repeat: {times: 3}"), net("- repeat: {times: -1, body: []}"), net("- {relu: , name: [a]}"),
        net("- {relu: , when: 3}"), net("- {relu: , from: {a: b}}"), net("- {relu: , output: {a: b}}"), net("- 3"), net("- [relu]"), net("relu"),
        net(input="3"), net(input="[]"), net(input="[3, 0]"), net(input="[1, 2, 3, 4, 5]"), net(args="[a]"), net(args="{a: [1]}"),
        net(blocks="u: {args: [a]}"), net(blocks="u: {body: relu}"), net(blocks="u: {body: [], doc: 3}"), net(blocks="u: {body: [], arg: []}"),
        net(blocks="u: {args: {a: integer}, body: []}"), net() + "nmae: x\n", net() + "heads: {main: {los: mse}}\n", net() + "heads: {main: {loss: mce}}\n",
        net() + "heads: {main: {weight: -1}}\n", net() + "train: {lr: 0.1}\n", net() + "init: {conv: {wieght: 0}}\n", net() + "init: {conv: {weight: he}}\n",
        net() + "preprocess: {crop: centre}\n", net() + "claims: {tolerance: 3}\n", net() + "source: {titel: x}\n", net() + "labels: {a: b}\n",
        net() + "edit: {set: {a: 1}}\n", net() + "edit: [{sett: {a: 1}}]\n", net() + "edit: [{remove: {a: b}}]\n", net() + "edit: [set]\n",
        "archspec: 2\ninput: [3]\nnetwork: [relu]", "input: [3]\nnetwork: [relu]", "archspec: 1\nnetwork: [relu]", "archspec: 1\ninput: [3]", "[1]",
        net("table: {columns: [name], rows: []}"), net("table: {columns: [type], row: []}"), net("table: {columns: [type]}"), net("table: {columns: 3, rows: []}"),
    ],
)  # fmt: skip
def test_a_typo_is_stopped(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    "text",
    [
        net("- conv: {out: $n, kernel: '${n + 1}', stride: 1x2, padding: [[0, 1], 2], bias: $b}"), net("- {conv: {out: 4, kernel: [3, 3]}, output: [4, '${n}', 6]}"),
        net("- {name: 3, relu: , when: $b, aux: h, params: 2.7K, ops: 34M, depth: 1}"), net("- {add: , from: [a, 1]}\n- {unit: }\n- {unit: {x: 1}}"),
        net("- repeat: {times: $n, as: i, body: [{concat: {a: [], b: ~, c: [relu, [], {tanh: ~}]}}]}".replace(", []", "")), net("[]"),
        net("table: {columns: [type, '#1x1', 3], rows: [[relu, ~, [1, 2]], relu, {relu: }]}"), net(input="[$n]"), net(args="{n: 1, b: true, s: x, f: 0.5}"),
        net(blocks="u: {args: {a: int, b: 'size = 3x3', c: bool=true, d: 'patch = $a'}, body: [relu], doc: text}\nv: {args: ~, body: ~}"),
        net() + "heads: {main: {classes: $n, weight: '${n / 2}'}, h: {from: a, only: train, block: u}}\ninit: {conv: {weight: {normal: 0.1}, bias: $n}}\n",
        net() + "train: {learning_rate: $n, schedule: {kind: step, every: 3}}\nname: 3\nlabels: [a]\npreprocess: {mean: [0.5], resize: 256x256}\n",
        "archspec: 1\nextends: base.yaml\nblocks: {u: ~}\nargs: {a: ~}\nheads: {h: ~, main: {classes: ~}}\ntrain: {schedule: ~}\nclaims: ~\nsource: {year: 2015}",
        "archspec: 1\nextends: base\nedit: [{set: {a.b: ~, c: [1]}}, {remove: [a, b]}, {remove: a}, {insert_after: {a: relu}}, {replace: {a: [[x, conv, 1], relu]}}]",
    ],
)  # fmt: skip
def test_what_is_right_is_let_through(text: str) -> None:
    assert faults(text) == []


def test_expressions_are_let_through_wherever_they_may_stand() -> None:
    text = net(
        "- {conv: {out: $n, kernel: $n, stride: $n, padding: $n, dilation: $n, groups: $n, bias: '${n == 1}'}, from: input}",
        args="{n: 1}",
    )
    assert faults(text) == []
    good(text)
