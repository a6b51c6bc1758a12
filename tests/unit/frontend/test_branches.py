"""Branches and their merge: names, what enters them, and which is at fault where they differ."""

from __future__ import annotations

import pytest

from tests.helpers.language import found, good, marked, net, paths, read, the

CONV = "{conv: {out: 4, kernel: 3, padding: 1}}"


def test_layers_of_a_branch_are_called_after_it() -> None:
    steps = f"""
    - concat:
        1x1: [{CONV}]
        3x3: [{{name: reduce, {CONV[1:]}, {CONV}]
    - name: mix
      add:
        1x1: [{{conv: {{out: 8, kernel: 1}}}}]
        skip: []
    """
    assert paths(good(net(steps))) == [
        "1x1.conv",
        "3x3.reduce",
        "3x3.conv",
        "concat",
        "mix_1x1.conv",
        "mix",
    ]


def test_two_merges_with_the_same_branches_need_a_name() -> None:
    steps = "- add: {x: [relu], y: []}\n- {MORE add: {x: [tanh], y: []}}"
    text = net(steps.replace("MORE ", ""))
    assert [(d.code, d.span.line, marked(d.span)) for d in read(text)[1]] == [
        ("AS0403", 5, "x"),
        ("AS0403", 5, "y"),
    ]
    assert paths(good(net(steps.replace("MORE", "name: b,")))) == ["x.relu", "add", "b_x.tanh", "b"]


@pytest.mark.parametrize("label", ["a.b", "''", "' '"])
def test_a_branchs_name_is_a_name(label: str) -> None:
    assert (
        "a branch's name is a text without dots"
        in the(net(f"- add: {{{label}: [relu], b: []}}"), "AS0210", label).message
    )


def test_branches_start_from_what_enters_the_merge() -> None:
    steps = "- {name: a, relu: }\n- {name: b, tanh: }\n- {from: a, concat: {x: [], y: [sigmoid], z: [{elu: , from: b}]}}"
    graph = good(net(steps)).graph
    assert [(node.name, node.inputs) for node in graph.nodes[3:]] == [
        ("sigmoid", (1,)),
        ("elu", (2,)),
        ("concat", (1, 3, 4)),
    ]


def test_merges_nest() -> None:
    steps = "- add: {x: [{concat: {p: [], q: [relu]}}, {conv: {out: 3, kernel: 1}}], y: [{multiply: {r: [], s: [sigmoid]}}]}"
    assert paths(good(net(steps))) == [
        "x.q.relu",
        "x.concat",
        "x.conv",
        "y.s.sigmoid",
        "y.multiply",
        "add",
    ]


def test_branches_that_differ_say_which_and_why() -> None:
    steps = """
    - concat:
        1x1: [{conv: {out: 64, kernel: 1}}]
        3x3:
          - {conv: {out: 96, kernel: 1}}
          - {conv: {out: 128, kernel: 3, stride: 2, padding: symmetric}}
        pool: [{max_pool: {kernel: 3, stride: 1, padding: 1}}, {conv: {out: 32, kernel: 1}}]
    """
    diagnostic = the(net(steps, input="[192, 28, 28]"), "AS0301", "3x3")
    assert diagnostic.label == "this branch is 128x14x14"
    agree, changed = diagnostic.notes
    assert agree.text == "branches 1x1 (64x28x28) and pool (32x28x28) agree"
    assert changed.text == "3x3 became 14x14 by its stride"
    assert changed.span is not None
    assert (marked(changed.span), changed.span.line) == ("2", 8)
    assert "28x28" in diagnostic.help


def test_a_difference_is_blamed_on_the_cell_that_made_it() -> None:
    blocks = """
    unit: {args: {p: patch}, body: [{conv: {out: 4, kernel: $p.kernel, stride: $p.stride, padding: same}}]}
    two: {args: {q: patch}, body: [{concat: {a: [{unit: {p: $q}}], b: [], c: [relu]}}]}
    """
    table = "table: {columns: [name, type, q], rows: [[x, two, 3x3/1], [y, two, 3x3/2]]}"
    diagnostic = the(net(table, blocks=blocks), "AS0301", "a")
    blamed = [note for note in diagnostic.notes if note.span and marked(note.span) == "3x3/2"]
    assert [note.text for note in blamed] == ["a became 4x4 by its stride"]
    assert any("instantiated as y" in note.text for note in diagnostic.notes)


def test_steps_that_do_not_fit_are_shown_under_from() -> None:
    steps = "- {name: a, relu: }\n- {name: b, max_pool: {kernel: 2}}\n- {name: c, tanh: , from: a}\n- {from: [a, b, c], concat: }"
    diagnostic = the(net(steps), "AS0301", "b")
    assert (diagnostic.span.line, diagnostic.label) == (7, "this value is 3x4x4")
    assert diagnostic.notes[0].text == "values a (3x8x8) and c (3x8x8) agree"


def test_an_operand_that_is_stretched_is_not_at_fault() -> None:
    steps = "- multiply: {x: [], gate: [global_avg_pool], odd: [{conv: {out: 5, kernel: 1}}]}"
    assert found(net(steps)) == [("AS0302", "odd")]
    assert found(net("- add: {x: [], flat: [flatten], y: [relu]}")) == [("AS0302", "flat")]
