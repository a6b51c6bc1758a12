"""The language's properties, each on a small spec: what it means, and where its mistakes are found."""

from __future__ import annotations

from pathlib import Path

import pytest

import archspec
from archspec.compiler import check
from archspec.diagnostics import Diagnostic
from tests.helpers.specs import checked, written

HEAD = "archspec: 1\nname: net\ninput: [3, 32, 32]\n"


def found(text: str) -> tuple[Diagnostic, ...]:
    with written(text) as path:
        return check(path)[1]


def marked(diagnostic: Diagnostic) -> str:
    """The text under the carets."""
    span = diagnostic.span
    lines = span.source.text.splitlines()
    if span.line != span.end_line:
        return lines[span.line - 1][span.column - 1 :]
    return lines[span.line - 1][span.column - 1 : span.end_column - 1]


def the(text: str, code: str) -> Diagnostic:
    """The one diagnostic of a spec, which has that code."""
    (diagnostic,) = found(text)
    assert diagnostic.code == code, diagnostic
    return diagnostic


def layers(text: str) -> list[str]:
    """A graph as text, without its names, so that two ways of writing can be compared."""
    graph = checked(text).graph
    return [f"{node.op!r} {node.inputs} {node.shape}" for node in graph.nodes]


# Blocks, arguments and expressions


def test_a_block_is_the_steps_that_it_stands_for() -> None:
    block = HEAD + (
        "blocks:\n  unit:\n    args: {out: int, k: size = 3}\n    body:\n"
        "      - conv: {out: $out, kernel: $k, padding: symmetric}\n      - relu\n"
        "network:\n  - unit: {out: 4}\n  - unit: {out: 8, k: 1x5}\n"
    )
    plain = HEAD + (
        "network:\n  - conv: {out: 4, kernel: 3, padding: symmetric}\n  - relu\n"
        "  - conv: {out: 8, kernel: 1x5, padding: symmetric}\n  - relu\n"
    )
    assert layers(block) == layers(plain)


def test_a_table_is_the_steps_that_its_rows_stand_for() -> None:
    table = HEAD + (
        'network:\n  table:\n    columns: [name, type, output, "out", kernel, stride]\n    rows:\n'
        "      - [a, conv, 30x30x4, 4, 3, ~]\n      - relu\n      - [b, conv, 14x14x8, 8, 3, 2]\n"
    )
    plain = (
        HEAD
        + "network:\n  - conv: {out: 4, kernel: 3}\n  - relu\n  - conv: {out: 8, kernel: 3, stride: 2}\n"
    )
    assert layers(table) == layers(plain)


def test_a_repeat_is_its_body_over_and_over_with_its_counter() -> None:
    repeat = HEAD + (
        "args: {n: 3}\nnetwork:\n  - repeat:\n      times: $n\n      as: i\n      body:\n"
        '        - {name: "c$i", conv: {out: "${4 * (i + 1)}", kernel: 1}}\n'
    )
    plain = (
        HEAD + "network:\n" + "".join(f"  - conv: {{out: {n}, kernel: 1}}\n" for n in (4, 8, 12))
    )
    assert layers(repeat) == layers(plain)
    assert [node.path for node in checked(repeat).graph.nodes[1:]] == [
        "repeat.0.c0",
        "repeat.1.c1",
        "repeat.2.c2",
    ]


def test_when_leaves_a_step_out() -> None:
    text = (
        HEAD
        + "args: {deep: DEEP}\nnetwork:\n  - relu\n  - {conv: {out: 4, kernel: 1}, when: $deep}\n"
    )
    assert len(checked(text.replace("DEEP", "true")).graph.nodes) == 3
    assert len(checked(text.replace("DEEP", "false")).graph.nodes) == 2


def test_in_is_the_value_that_enters_a_step() -> None:
    text = HEAD + (
        "network:\n  - conv: {out: 6, kernel: 3x5}\n"
        '  - conv: {out: "${in.channels * 2 + in.height + in.width + in.rank}", kernel: 1, groups: 1}\n'
        "  - conv: {out: $in.channels, kernel: 3, groups: $in.channels}\n"
    )
    graph = checked(text).graph
    assert graph.nodes[2].shape == (6 * 2 + 30 + 28 + 2, 30, 28)
    assert graph.nodes[3].op.model_dump()["groups"] == 72


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("${n + 2 * 3}", 10), ("${(n + 2) * 3}", 18), ("${n // 3}", 1), ("${n % 3}", 1), ("${n ** 2}", 16),
        ("${n / 2}", 2),
        ("${-n + 9}", 5), ("${min(n, 3)}", 3), ("${max(n, 3, 9)}", 9), ("${round(n * 1.4)}", 6),
        ("${floor(n * 1.4)}", 5),
        ("${ceil(n * 1.4)}", 6), ("${8 if n > 3 and not wide else 16}", 8), ("${8 if n == 4 or wide else 16}", 8),
        ("$n", 4), ("${#1x1 reduce}", 7), ("${#1x1 reduce + n}", 11),
    ],
)  # fmt: skip
def test_expressions(expression: str, value: int) -> None:
    args = 'args: {n: 4, wide: false, "#1x1 reduce": 7}\n'
    graph = checked(HEAD + args + f'network:\n  - conv: {{out: "{expression}", kernel: 1}}\n').graph
    assert graph.nodes[1].shape[0] == value


@pytest.mark.parametrize(
    ("expression", "code", "text"),
    [
        ("${n +}", "AS0501", "}"), ("${n n}", "AS0501", "n"), ("${m}", "AS0401", "m"), ("$m", "AS0401", "m"),
        ("${eval(n)}", "AS0502", "eval"), ("${n / 0}", "AS0503", "n / 0"), ("${n / 3}", "AS0504", None),
        ("${n ** 99}", "AS0505", "n ** 99"), ("${n.kernel}", "AS0506", None), ("${__import__}", "AS0401", "__import__"),
        ("${n if n else n}", "AS0506", "n"), ("${min()}", "AS0501", None), ("${1 < n < 3}", "AS0501", None),
        ("${'a' * n}", "AS0506", "'a' * n"), ("${n", "AS0501", "${"),
    ],
)  # fmt: skip
def test_an_expression_that_fails_points_at_its_part(
    expression: str, code: str, text: str | None
) -> None:
    diagnostic = the(
        HEAD + f'args: {{n: 4}}\nnetwork:\n  - conv: {{out: "{expression}", kernel: 1}}\n', code
    )
    assert diagnostic.span.line == 6
    if text is not None:
        assert marked(diagnostic) == text


def test_a_patch_is_a_kernel_and_its_stride() -> None:
    text = HEAD + (
        "blocks:\n  c:\n    args: {p: patch}\n    body:\n"
        '      - conv: {out: 2, kernel: "${p.kernel}", stride: "${p.stride}", padding: same}\n'
        "network:\n  - c: {p: 5x3/2}\n"
    )
    node = checked(text).graph.nodes[1]
    assert node.op.model_dump()["kernel"] == (5, 3)
    assert node.shape == (2, 16, 16)


# Branches, from, heads


def test_an_empty_branch_is_the_identity_and_names_are_paths() -> None:
    text = HEAD + (
        "blocks:\n  res:\n    body:\n      - add:\n          body: [{name: c, conv: {out: 3, kernel: 1}}]\n"
        "          shortcut: []\nnetwork:\n  - {name: r1, res: }\n"
    )
    graph = checked(text).graph
    assert graph.nodes[2].inputs == (1, 0)
    assert [name for name, _, _ in graph.parameters()] == ["r1.body.c.weight", "r1.body.c.bias"]


def test_from_reads_earlier_steps_and_iterations() -> None:
    text = HEAD + (
        "network:\n  - {name: a, conv: {out: 4, kernel: 1}}\n"
        "  - {name: down, repeat: {times: 2, body: [relu]}}\n"
        "  - {name: both, concat: , from: [a, down.0, input]}\n  - {conv: {out: 2, kernel: 1}, from: a}\n"
    )
    graph = checked(text).graph
    assert graph.nodes[4].inputs == (1, 2, 0)
    assert graph.nodes[5].inputs == (1,)
    assert the(text.replace("from: a}", "from: aa}"), "AS0402").help == "did you mean `a`?"


def test_a_head_hangs_on_a_step_either_way() -> None:
    heads = (
        "blocks:\n  side:\n    body: [flatten, {linear: {out: 5}}]\nnetwork:\n  - {name: a, relu: ~AUX}\n"
        "  - global_avg_pool\n  - flatten\n  - linear: {out: 5}\nheads:\n  x: {block: side, only: train, FROM}\n"
    )
    by_aux = checked(HEAD + heads.replace("AUX", ", aux: x").replace(", FROM", "")).graph
    by_from = checked(HEAD + heads.replace("AUX", "").replace("FROM", "from: a")).graph
    assert str(by_aux) == str(by_from)
    assert [h.name for h in by_aux.heads] == ["main", "x"]
    both = HEAD + heads.replace("AUX", ", aux: x").replace("FROM", "from: a")
    assert the(both, "AS0407").severity == "error"


# Errors


def test_all_errors_are_found_in_one_run() -> None:
    text = HEAD + (
        "args: {n: 4}\nbloks: {}\nblocks:\n  a:\n    args: [x]\n    body: [{convv: {out: 3}}]\n"
        "network:\n  - conv: {out: $m, kernel: 3}\n  - {relu: , conv: {out: 3, kernel: 3}}\n  - a: {y: 3}\n"
        "  - {max_pool: {kernel: 0}}\n"
    )
    codes = [d.code for d in found(text)]
    assert {"AS0202", "AS0203", "AS0401", "AS0206"} <= set(codes)
    assert codes.count("AS0202") >= 2


def test_a_stated_output_lets_the_search_go_on_behind_a_mistake() -> None:
    text = HEAD + (
        "network:\n  - {conv: {out: 4, kernel: 99}, output: 32x32x4}\n  - {max_pool: {kernel: 2}, output: 15x16x4}\n"
    )
    first, second = found(text)
    assert (first.code, marked(first)) == ("AS0304", "99")
    assert (second.code, marked(second)) == ("AS0303", "15x16x4")


def test_a_value_given_in_a_table_is_blamed_there_and_the_blocks_around_are_named() -> None:
    text = HEAD + (
        "blocks:\n  unit:\n    args: {out: int}\n    body: [{conv: {out: $out, kernel: 3}}]\n"
        "network:\n  table:\n    columns: [name, type, out]\n    rows:\n      - [u1, unit, 4]\n      - [u2, unit, 0]\n"
    )
    diagnostic = the(text, "AS0205")
    assert (diagnostic.span.line, marked(diagnostic)) == (13, "0")
    assert "in block unit, instantiated as u2" in str(diagnostic.notes[-1])


def test_branches_that_differ_say_which_why_and_where() -> None:
    text = HEAD + (
        "network:\n  - concat:\n      a: [{conv: {out: 2, kernel: 1}}]\n      b: [{conv: {out: 2, kernel: 1}}]\n"
        "      c: [{conv: {out: 2, kernel: 1, stride: 2}}]\n"
    )
    diagnostic = the(text, "AS0301")
    assert marked(diagnostic) == "c"
    assert diagnostic.label == "this branch is 2x16x16"
    assert "a (2x32x32) and b (2x32x32) agree" in diagnostic.notes[0].text
    assert diagnostic.notes[1].span is not None
    assert diagnostic.notes[1].span.line == 8


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{linear: {out: 3}}", "AS0306"),
        ("{conv: {out: 3, kernel: 3, groups: 2}}", "AS0305"),
        ("{conv: {out: 3, kernel: 3x3x3}}", "AS0312"),
        ("{reshape: {to: [5, 5]}}", "AS0308"),
        ("{crop: {size: 64}}", "AS0310"),
        ("{dropout: {rate: 1.5}}", "AS0205"),
        ("{dropout: {rate: .nan}}", "AS0205"),
        ("{conv: {out: 3, kernel: 3}, output: [3, 31, 31]}", "AS0303"),
        ("[relu]", "AS0204"),
        ("5", "AS0204"),
        ("{name: a.b, relu: }", "AS0210"),
    ],
)
def test_each_mistake_has_its_code(step: str, code: str) -> None:
    diagnostics = found(HEAD + f"network:\n  - {step}\n")
    assert [d.code for d in diagnostics] == [code]
    assert diagnostics[0].span.line == 5


def test_a_classifier_is_as_wide_as_its_classes() -> None:
    text = HEAD + "network: [flatten, {linear: {out: 9}}]\nheads: {main: {classes: 10}}\n"
    assert marked(the(text, "AS0309")) == "10"


def test_warnings_do_not_fail() -> None:
    text = HEAD + (
        "args: {idle: 3}\nblocks: {b: {body: [relu]}}\nnetwork:\n  - relu\n  - sigmoid\n"
        "  - {name: lost, conv: {out: 3, kernel: 1}}\n  - {conv: {out: 2, kernel: 1}, from: sigmoid}\n"
    )
    diagnostics = found(text)
    assert sorted(d.code for d in diagnostics) == ["AS0601", "AS0602", "AS0603", "AS0604"]
    assert {d.severity for d in diagnostics} == {"warning"}


# Variants


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(
        HEAD + "args: {classes: 5}\nblocks:\n  unit:\n    args: {out: int}\n"
        "    body: [{conv: {out: $out, kernel: 3}}, relu]\n"
        "network:\n  - table:\n      columns: [name, type, out]\n      rows:\n"
        "        - [u1, unit, 4]\n        - [u2, unit, 8]\n  - global_avg_pool\n  - flatten\n"
        "  - {name: fc, linear: {out: $classes}}\n"
    )
    return path


def variant(base: Path, text: str) -> archspec.Spec:
    path = base.parent / "variant.yaml"
    path.write_text("archspec: 1\nextends: base.yaml\n" + text)
    return archspec.load(path)


def kinds(spec: archspec.Spec) -> list[str]:
    return [node.op.kind for node in spec.graph.nodes[1:]]


def test_a_redefined_block_changes_every_use(base: Path) -> None:
    body = "[{conv: {out: $out, kernel: 1, bias: false}}, batch_norm, relu]"
    text = f"blocks:\n  unit:\n    args: {{out: int}}\n    body: {body}\n"
    assert kinds(variant(base, text))[:6] == ["conv", "batch_norm", "relu"] * 2


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("remove: u1", ["conv", "relu", "global_avg_pool", "flatten", "linear"]),
        ("remove: [u1, u2]", ["global_avg_pool", "flatten", "linear"]),
        ("insert_after: {u1: [dropout: {rate: 0.1}]}", ["conv", "relu", "dropout", "conv"]),
        ("insert_before: {u2: max_pool: {kernel: 2}}", ["conv", "relu", "max_pool", "conv"]),
        ("replace: {u1: [tanh, elu]}", ["tanh", "elu", "conv"]),
        ("insert_after: {blocks.unit.conv: [batch_norm]}", ["conv", "batch_norm", "relu", "conv"]),
        ("remove: blocks.unit.relu", ["conv", "conv", "global_avg_pool"]),
    ],
)
def test_edits_change_steps(base: Path, edit: str, expected: list[str]) -> None:
    if edit.startswith("insert_before"):
        edit = "insert_before: {u2: {max_pool: {kernel: 2}}}"
    if edit.startswith("insert_after: {u1"):
        edit = "insert_after: {u1: [{dropout: {rate: 0.1}}]}"
    assert kinds(variant(base, f"edit:\n  - {edit}\n"))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("address", "value", "what"),
    [
        ("classes", "7", lambda g: g.nodes[-1].shape == (7,)),
        ("args.classes", "7", lambda g: g.nodes[-1].shape == (7,)),
        ("u2.out", "16", lambda g: g.nodes[3].shape[0] == 16),
        ("fc.bias", "false", lambda g: g.nodes[-1].op.bias is False),
        ("blocks.unit.conv.kernel", "5", lambda g: g.nodes[1].shape == (4, 28, 28)),
        ("input", "[1, 16, 16]", lambda g: g.input == (1, 16, 16)),
    ],
    ids=["classes", "args.classes", "u2.out", "fc.bias", "block", "input"],
)
def test_set_and_edit_speak_the_same_addresses(
    base: Path, address: str, value: str, what: object
) -> None:
    assert callable(what)
    assert what(archspec.load(base, sets=[f"{address}={value}"]).graph)
    assert what(variant(base, f"edit:\n  - set: {{{address}: {value}}}\n").graph)


@pytest.mark.parametrize(
    ("override", "code", "help"),
    [
        ("clases=3", "AS0411", "did you mean `classes`?"),
        ("fcc.out=3", "AS0411", "did you mean `fc`?"),
        ("classes=many", "AS0204", ""),
        ("classes=2.5", "AS0504", "divide with `//`, or use round, floor or ceil"),
        ("classes", "AS0002", None),
        ("classes=[", "AS0101", None),
    ],
)
def test_an_override_that_means_nothing_is_an_error(
    base: Path, override: str, code: str, help: str | None
) -> None:
    (diagnostic,) = check(base, sets=[override])[1]
    assert diagnostic.code == code
    assert diagnostic.span.source.name == "--set"
    if help is not None:
        assert diagnostic.help == help


def test_extends_does_not_leave_the_folder_unless_told(base: Path) -> None:
    folder = base.parent / "inner"
    folder.mkdir()
    path = folder / "variant.yaml"
    path.write_text("archspec: 1\nextends: ../base.yaml\n")
    assert [d.code for d in check(path)[1]] == ["AS0410"]
    assert archspec.load(path, include=[base.parent]).graph.input == (3, 32, 32)
    (folder / "link.yaml").symlink_to(base)
    path.write_text("archspec: 1\nextends: link.yaml\n")
    assert [d.code for d in check(path)[1]] == ["AS0410"]


def test_a_petabyte_layer_is_counted() -> None:
    text = HEAD + "network:\n  - conv: {out: 1000000000000, kernel: 3}\n"
    with written(text) as path:
        assert archspec.stats(archspec.load(path)).params == 10**12 * 28
