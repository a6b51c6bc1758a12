"""From bodies to layers: names, `from`, branches, `repeat`, `when`, `in`, and what is said where they go wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.spec import Spec
from tests.helpers.language import found, good, layers, marked, net, outline, read, the

CONV = "{conv: {out: 4, kernel: 3, padding: 1}}"


def paths(spec: Spec) -> list[str]:
    return [node.path for node in spec.graph.nodes[1:]]


# Names


def test_steps_without_names_are_numbered() -> None:
    steps = "- relu\n- conv: {out: 4, kernel: 1}\n- relu\n- {conv: {out: 4, kernel: 1}}\n- {relu: , from: conv}\n- tanh"
    assert paths(good(net(steps))) == ["relu", "conv", "relu_2", "conv_2", "relu_3", "tanh"]


def test_a_number_that_is_taken_is_passed_over() -> None:
    steps = "- flatten\n- {name: identity_2, reshape: {to: [-1]}}\n- identity\n- identity\n- identity"
    assert paths(good(net(steps))) == ["flatten", "identity_2", "identity", "identity_3", "identity_4"]


@pytest.mark.parametrize(
    "name", ["#3x3 reduce", "a/b", "depthwise 3×3", "_", "class", "__init__", "a-b", "1", "π", "x" * 10_000]
)
def test_a_name_may_be_as_in_the_paper(name: str) -> None:
    assert paths(good(net(f"- {{name: '{name}', relu: }}"))) == [name]


def test_a_name_may_be_a_number_or_an_expression() -> None:
    steps = '- {name: 3, relu: }\n- {name: "unit $n", flatten: }\n- {name: "${n * 2}", identity: }'
    assert paths(good(net(steps, args="{n: 4}"))) == ["3", "unit 4", "8"]


@pytest.mark.parametrize(
    ("name", "mark", "message"),
    [
        ("a.b", "a.b", "a name is a text without dots, found string `a.b`"),
        ("1.5", "1.5", "a name is a text without dots, found float `1.5`"),
        ("''", "''", "a name is a text without dots"),
        ("' '", "' '", "a name is a text without dots"),
        ("true", "true", "found bool `true`"),
        ("[a]", "[a]", "found list"),
        ("{a: b}", "{a: b}", "found mapping"),
        ("input", "input", "`input` is the network's input"),
        ('"u.$n"', '"u.$n"', "found string `u.4`"),
    ],
)
def test_a_name_that_is_none(name: str, mark: str, message: str) -> None:
    text = net(f"- {{name: {name}, relu: }}\n- {{tanh: , when: '${{n == 5}}'}}", args="{n: 4}")
    diagnostic = the(text, "AS0210", mark)
    assert message in diagnostic.message


def test_a_name_used_twice_is_told_at_each_place() -> None:
    text = net("- {name: a, flatten: }\n- {name: a, tanh: }\n- {name: a, identity: }")
    _, diagnostics = read(text)
    assert [(d.code, d.span.line, marked(d.span)) for d in diagnostics] == [("AS0403", 5, "a"), ("AS0403", 6, "a")]
    assert [note.span.line for d in diagnostics for note in d.notes if note.span] == [4, 4]


def test_names_are_of_their_body() -> None:
    steps = f"""
    - {{name: a, unit: }}
    - {{name: b, unit: }}
    - add:
        left: [{{name: a, relu: }}]
        right: [{{name: a, tanh: }}]
    - {{name: c, repeat: {{times: 2, body: [{{name: a, {CONV[1:]}]}}}}
    """
    assert paths(good(net(steps, blocks=f"unit: {{body: [{{name: a, {CONV[1:]}]}}"))) == [
        "a.a", "b.a", "left.a", "right.a", "add", "c.0.a", "c.1.a",
    ]  # fmt: skip


@given(
    st.lists(
        st.sampled_from(["flatten", "identity", "dropout: {rate: 0.1}", "name: identity_2\n  identity:"]),
        min_size=1,
        max_size=12,
    )
)
def test_the_names_of_a_body_are_all_different(steps: list[str]) -> None:
    if steps.count(steps[-1]) > 1 and steps[-1].startswith("name"):
        steps = [step for step in steps if not step.startswith("name")] + [steps[-1]]
    text = net("\n".join(f"- {step}" for step in steps))
    spec, diagnostics = read(text)
    if spec is None:
        assert {d.code for d in diagnostics} == {"AS0403"}
    else:
        assert len(set(paths(spec))) == len(steps)


# from


def test_from_takes_an_earlier_value() -> None:
    steps = """
    - {name: a, conv: {out: 4, kernel: 1}}
    - {name: b, conv: {out: 5, kernel: 1}}
    - {name: c, conv: {out: 6, kernel: 1}, from: a}
    - {name: d, from: [b, c, input], concat: }
    """
    assert [node.inputs for node in good(net(steps)).graph.nodes[1:]] == [(0,), (1,), (1,), (2, 3, 0)]


def test_from_takes_what_a_repeat_an_iteration_a_merge_and_a_block_gave() -> None:
    steps = """
    - name: down
      repeat: {times: 3, as: i, body: [{conv: {out: "${i + 1}", kernel: 1}}]}
    - {name: m, add: {x: [relu], y: []}}
    - {name: u, unit: }
    - {name: j, from: [down.0, down.2, down, m, u, concat_1], concat: }
    """.replace(", concat_1", "")
    nodes = good(net(steps, blocks="unit: {body: [tanh, flatten, {reshape: {to: [-1, 8, 8]}}]}")).graph.nodes
    assert [(nodes[i].path, nodes[i].shape[0]) for i in nodes[-1].inputs] == [
        ("down.0.conv", 1), ("down.2.conv", 3), ("down.2.conv", 3), ("m", 3), ("u.reshape", 3),
    ]  # fmt: skip


def test_from_sees_the_bodies_around_a_branch_and_an_iteration() -> None:
    steps = """
    - {name: a, conv: {out: 3, kernel: 1}}
    - add:
        x: [{relu: , from: a}]
        y: [{name: inner, tanh: }, {add: , from: [inner, input, a]}]
    - repeat: {times: 2, body: [{add: , from: [a, input]}]}
    """
    nodes = {node.path: node.inputs for node in good(net(steps)).graph.nodes}
    assert nodes["y.add"] == (3, 0, 1)
    assert nodes["repeat.0.add"] == nodes["repeat.1.add"] == (1, 0)


def test_from_in_a_block_sees_the_block_alone() -> None:
    blocks = "unit: {body: [{name: c, conv: {out: 3, kernel: 1}}, {from: [c, input], add: }, {relu: , from: a}]}"
    text = net("- {name: a, relu: }\n- {name: u, unit: }", blocks=blocks)
    diagnostic = the(text, "AS0402", "a")
    assert diagnostic.help == "known earlier steps: `c`, `add`"
    spec = good(text.replace("relu: , from: a", "relu: , from: c"))
    assert {node.path: node.inputs for node in spec.graph.nodes}["u.add"] == (2, 1)


@pytest.mark.parametrize(
    ("source", "mark"),
    [
        ("aa", "aa"), ("later", "later"), ("inner", "inner"), ("[a, aa]", "aa"), ("down.2", "down.2"), ("down.-1", "down.-1"),
        ("1.5", "1.5"), ("{a: b}", "{a: b}"), ('"a$n"', '"a$n"'), ("unit", "unit"), ("''", "''"),
    ],
)  # fmt: skip
def test_from_names_no_earlier_step(source: str, mark: str) -> None:
    op = "add" if source.startswith("[") else "relu"
    steps = f"""
    - {{name: a, relu: }}
    - add:
        x: [{{name: inner, tanh: }}]
        y: []
    - {{name: down, repeat: {{times: 2, body: [{CONV}]}}}}
    - {{{op}: , from: {source}}}
    - {{name: later, tanh: , when: "${{n == 4}}"}}
    """
    diagnostics = read(net(steps, args="{n: 4}"))[1]
    errors = [(d.code, marked(d.span)) for d in diagnostics if d.severity == "error"]
    assert errors == [("AS0402", mark)]


def test_a_step_that_is_nearly_named_is_suggested() -> None:
    assert (
        the(net("- {name: stem, relu: }\n- {flatten: , from: steam}"), "AS0402", "steam").help == "did you mean `stem`?"
    )


def test_one_op_takes_one_value() -> None:
    text = net("- {name: a, relu: }\n- {name: b, flatten: }\n- {tanh: , from: [a, b]}")
    assert "`tanh` takes one value, `from` names 2" in the(text, "AS0204", "[a, b]").message


def test_a_merge_takes_several() -> None:
    assert "`from` names 1" in the(net("- {name: a, relu: }\n- {add: , from: a}"), "AS0311", "a").message
    assert "`from` names 0" in the(net("- {name: a, relu: }\n- {add: , from: []}"), "AS0311", "[]").message


# Branches


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
    assert paths(good(net(steps))) == ["1x1.conv", "3x3.reduce", "3x3.conv", "concat", "mix_1x1.conv", "mix"]


def test_two_merges_with_the_same_branches_need_a_name() -> None:
    steps = "- add: {x: [relu], y: []}\n- {MORE add: {x: [tanh], y: []}}"
    text = net(steps.replace("MORE ", ""))
    assert [(d.code, d.span.line, marked(d.span)) for d in read(text)[1]] == [("AS0403", 5, "x"), ("AS0403", 5, "y")]
    assert paths(good(net(steps.replace("MORE", "name: b,")))) == ["x.relu", "add", "b_x.tanh", "b"]


@pytest.mark.parametrize("label", ["a.b", "''", "' '"])
def test_a_branchs_name_is_a_name(label: str) -> None:
    assert (
        "a branch's name is a text without dots"
        in the(net(f"- add: {{{label}: [relu], b: []}}"), "AS0210", label).message
    )


def test_branches_start_from_what_enters_the_merge() -> None:
    steps = (
        "- {name: a, relu: }\n- {name: b, tanh: }\n- {from: a, concat: {x: [], y: [sigmoid], z: [{elu: , from: b}]}}"
    )
    graph = good(net(steps)).graph
    assert [(node.name, node.inputs) for node in graph.nodes[3:]] == [
        ("sigmoid", (1,)),
        ("elu", (2,)),
        ("concat", (1, 3, 4)),
    ]


def test_merges_nest() -> None:
    steps = "- add: {x: [{concat: {p: [], q: [relu]}}, {conv: {out: 3, kernel: 1}}], y: [{multiply: {r: [], s: [sigmoid]}}]}"
    assert paths(good(net(steps))) == ["x.q.relu", "x.concat", "x.conv", "y.s.sigmoid", "y.multiply", "add"]


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
    assert diagnostic.found == "this branch is 128x14x14"
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
    assert (diagnostic.span.line, diagnostic.found) == (7, "this value is 3x4x4")
    assert diagnostic.notes[0].text == "values a (3x8x8) and c (3x8x8) agree"


def test_an_operand_that_is_stretched_is_not_at_fault() -> None:
    steps = "- multiply: {x: [], gate: [global_avg_pool], odd: [{conv: {out: 5, kernel: 1}}]}"
    assert found(net(steps)) == [("AS0302", "odd")]
    assert found(net("- add: {x: [], flat: [flatten], y: [relu]}")) == [("AS0302", "flat")]


# repeat


@pytest.mark.parametrize("times", [0, 1, 4])
def test_a_repeat_is_its_body_so_many_times(times: int) -> None:
    repeated = net(f"- repeat: {{times: {times}, as: i, body: [{{conv: {{out: '${{2 ** i}}', kernel: 1}}}}, relu]}}")
    written = net("".join(f"- conv: {{out: {2**i}, kernel: 1}}\n- relu\n" for i in range(times)) or "[]")
    assert layers(good(repeated)) == layers(good(written))


def test_repeats_nest_and_their_counters_with_them() -> None:
    steps = """
    - name: stage
      repeat:
        times: 2
        as: i
        body:
          - {name: "wide$i", conv: {out: "${10 * (i + 1)}", kernel: 1}}
          - repeat: {times: "${i + 1}", as: j, body: [{name: "c$j", conv: {out: "${10 * i + j + 1}", kernel: 1}}]}
    """
    spec = good(net(steps))
    assert [(node.path, node.shape[0]) for node in spec.graph.nodes[1:]] == [
        ("stage.0.wide0", 10), ("stage.0.repeat.0.c0", 1), ("stage.1.wide1", 20), ("stage.1.repeat.0.c0", 11), ("stage.1.repeat.1.c1", 12),
    ]  # fmt: skip


def test_a_counter_ends_with_its_repeat_and_is_not_seen_in_blocks() -> None:
    assert found(net("- repeat: {times: 2, as: i, body: [relu]}\n- {tanh: , name: 'x$i'}"))[-1] == ("AS0401", "i")
    blocks = "unit: {body: [{conv: {out: '${i + 1}', kernel: 1}}]}"
    assert found(net("- repeat: {times: 2, as: i, body: [unit]}", blocks=blocks)) == [("AS0401", "i")]


def test_two_repeats_may_have_the_same_counter() -> None:
    repeat = "- {name: NAME, repeat: {times: 2, as: i, body: [{conv: {out: '${i + 1}', kernel: 1}}]}}"
    good(net(repeat.replace("NAME", "a") + "\n" + repeat.replace("NAME", "b")))


@pytest.mark.parametrize(
    ("times", "code", "mark", "message"),
    [
        ("-1", "AS0205", "-1", "`times` is at least 0, found -1"),
        ("2.5", "AS0504", "2.5", "`times`: expected an int, found float `2.5`"),
        ("many", "AS0204", "many", "`times`: expected an int, found string `many`"),
        ("true", "AS0204", "true", "found bool `true`"),
        ("[2]", "AS0204", "[2]", "found list"),
        ("~", "AS0204", "~", "found nothing"),
        ("$m", "AS0401", "m", "undefined argument `m`"),
        ("${n - 9}", "AS0205", "${n - 9}", "found -5"),
    ],
)
def test_times_that_are_none(times: str, code: str, mark: str, message: str) -> None:
    text = net(f"- repeat:\n    times: {times}\n    body: [flatten]\n- {{relu: , when: '${{n == 4}}'}}", args="{n: 4}")
    assert message in the(text, code, mark).message


def test_an_error_in_a_repeat_is_told_once_with_its_iterations() -> None:
    steps = "- {name: down, repeat: {times: 3, as: i, body: [{conv: {out: 4, kernel: 9}, output: 8x8x4}]}}"
    diagnostic = the(net(steps), "AS0304", "9")
    assert [note.text for note in diagnostic.notes] == [f"in iteration {i} of down" for i in range(3)]


# when


@pytest.mark.parametrize(
    ("condition", "there"), [("true", True), ("false", False), ("$deep", True), ("${not deep}", False)]
)
def test_when_says_whether_a_step_is_there(condition: str, there: bool) -> None:
    for step in ("tanh: ", "unit: ", "repeat: {times: 1, body: [tanh]}", "add: {x: [tanh], y: []}"):
        text = net(f"- {step}\n  when: {condition}", args="{deep: true}", blocks="unit: {body: [tanh]}")
        assert any(node.op.kind == "tanh" for node in good(text).graph.nodes) == there


def test_when_reads_the_value_that_enters() -> None:
    steps = (
        "- {conv: {out: 4, kernel: 1}}\n- {tanh: , when: '${in.channels == 4}'}\n- {elu: , when: '${in.channels == 3}'}"
    )
    assert paths(good(net(steps))) == ["conv", "tanh"]


def test_one_of_two_steps_of_the_same_name_is_there() -> None:
    steps = (
        "- {name: pool, max_pool: {kernel: 2}, when: $max}\n- {name: pool, avg_pool: {kernel: 2}, when: '${not max}'}"
    )
    text = net(steps, args="{max: true}")
    assert [good(text, max=value).graph.nodes[1].op.kind for value in (True, False)] == ["max_pool", "avg_pool"]


def test_a_step_that_is_left_out_keeps_its_number() -> None:
    text = net("- {identity: , when: $deep}\n- {identity: }\n- {identity: }", args="{deep: true}")
    assert paths(good(text)) == ["identity", "identity_2", "identity_3"]
    assert paths(good(text, deep=False)) == ["identity_2", "identity_3"]


def test_a_step_that_is_left_out_cannot_be_named() -> None:
    assert found(net("- {name: a, relu: , when: false}\n- {tanh: , from: a}")) == [("AS0402", "a")]


@pytest.mark.parametrize("condition", ["1", "'yes'", "yes", "[true]", "$n", "${n + 1}", "$in", "0.0"])
def test_when_is_true_or_false(condition: str) -> None:
    text = net(f"- relu:\n  when: {condition}\n- {{tanh: , when: '${{n == 5}}'}}", args="{n: 4}")
    assert the(text, "AS0506", condition).message.startswith("`when` is true or false, found")


# in


def test_in_is_what_enters_a_step() -> None:
    steps = """
    - conv: {out: 6, kernel: 1x3}
    - {conv: {out: "${in.channels * 2}", kernel: 8x1, groups: $in.channels}, output: "1x6x${in.channels * 2}"}
    - add:
        x: [{conv: {out: $in.channels, kernel: 1}}]
        y: [{conv: {out: 5, kernel: 1}}, {conv: {out: "${in.channels + 7}", kernel: 1}}]
    - {conv: {out: $in.channels, kernel: 1}, from: input, when: "${in.channels == 12}"}
    """
    graph = good(net(steps)).graph
    assert [node.shape for node in graph.nodes[1:]] == [
        (6, 8, 6), (12, 1, 6), (12, 1, 6), (5, 1, 6), (12, 1, 6), (12, 1, 6), (3, 8, 8),
    ]  # fmt: skip


def test_in_of_a_block_is_what_enters_each_of_its_steps() -> None:
    blocks = "unit: {args: {squeeze: int = 2}, body: [{conv: {out: '${in.channels // squeeze}', kernel: 1}}, {conv: {out: '${in.channels * 3}', kernel: 1}}]}"
    assert [node.shape[0] for node in good(net("- unit", input="[8, 4, 4]", blocks=blocks)).graph.nodes] == [8, 4, 12]


def test_an_argument_of_a_block_reads_what_enters_the_block() -> None:
    blocks = "unit: {args: {out: int}, body: [{conv: {out: 5, kernel: 1}}, {conv: {out: $out, kernel: 1}}]}"
    assert good(net("- unit: {out: '${in.channels * 7}'}", blocks=blocks)).graph.nodes[-1].shape[0] == 21


def test_in_after_a_mistake_is_unknown_and_silent() -> None:
    assert found(
        net("- conv: {out: 0, kernel: 1}\n- conv: {out: $in.channels, kernel: 1}\n- {tanh: , when: '${in.rank == 2}'}")
    ) == [("AS0205", "0")]


def test_in_after_a_repeat_or_a_merge_is_what_entered_them() -> None:
    good(net("- {repeat: {times: 2, body: [{conv: {out: 9, kernel: 1}}]}, output: '8x8x${in.channels * 3}'}"))
    good(net("- {concat: {x: [{conv: {out: 6, kernel: 1}}], y: []}, output: '8x8x${in.channels * 3}'}"))


# output


@pytest.mark.parametrize(
    ("steps", "output"),
    [
        ("conv: {out: 5, kernel: 1}", "8x6x5"), ("conv: {out: 5, kernel: 1}", "[5, 8, 6]"), ("conv: {out: 5, kernel: 1}", '"${n * 2}x6x5"'),
        ("conv: {out: 5, kernel: 1}", "[5, $n2, 6]".replace("$n2", '"${2 * n}"')), ("flatten: ", "144"), ("flatten: ", "[144]"), ("flatten: ", "1x1x144"),
        ("flatten: ", "[144, 1, 1]"), ("add: {x: [], y: [relu]}", "8x6x3"), ("repeat: {times: 3, body: [flatten]}", "144"), ("unit: ", "8x6x3"),
    ],
)  # fmt: skip
def test_an_output_is_checked_in_either_order(steps: str, output: str) -> None:
    blocks = "unit: {body: [relu, dropout: {rate: 0.5}]}"
    text = net(
        f"- {{{steps}, output: {output}}}\n- {{tanh: , when: '${{n == 5}}'}}",
        input="[3, 8, 6]",
        args="{n: 4}",
        blocks=blocks,
    )
    assert {d.code for d in read(text)[1]} <= {"AS0602"}


@pytest.mark.parametrize(
    ("output", "mark", "message"),
    [
        ("8x8x5", "8x8x5", "`conv` is said to give 5x8x8, and gives 4x8x8"),
        ("4x8x8", "4x8x8", "`conv` is said to give 8x4x8, and gives 4x8x8"),
        ("[4, 8]", "[4, 8]", "`conv` is said to give 4x8, and gives 4x8x8"),
        ("256", "256", "`conv` is said to give 256, and gives 4x8x8"),
    ],
)
def test_an_output_that_is_not_met(output: str, mark: str, message: str) -> None:
    diagnostic = the(net(f"- {{conv: {{out: 4, kernel: 1}}, output: {output}}}"), "AS0303", mark)
    assert diagnostic.message == message
    assert diagnostic.found == "it is 4x8x8, channels first"


@pytest.mark.parametrize("output", ["wide", "8x", "0x8x3", "[3, 0, 8]", "2.5", "true", "{a: 1}", "[]", "8X8X3", "-3"])
def test_an_output_that_is_no_shape(output: str) -> None:
    diagnostic = the(net(f"- {{relu: , output: {output}}}"), "AS0204", output)
    assert diagnostic.message.startswith("`output` is a shape, found")
    assert "28x28x256" in diagnostic.help


def test_an_output_stands_in_for_a_step_that_failed() -> None:
    steps = """
    - {name: a, conv: {out: 0, kernel: 1}, output: 8x8x4}
    - {name: b, conv: {out: $in.channels, kernel: 9}, output: 4x4x4}
    - {name: c, unit: {n: x}, output: 4x4x5}
    - {name: d, concat: {x: [], y: [{max_pool: {kernel: 2}}]}, output: 4x4x10}
    - {conv: {out: 4, kernel: 3, groups: 3}}
    """
    text = net(steps, blocks="unit: {args: [n], body: [{conv: {out: $n, kernel: 1}}]}")
    assert found(text) == [("AS0205", "0"), ("AS0304", "9"), ("AS0204", "x"), ("AS0301", "y"), ("AS0305", "3")]


def test_a_wrong_output_is_believed_in_what_follows() -> None:
    assert found(net("- {conv: {out: 4, kernel: 1}, output: 8x8x6}\n- {conv: {out: 4, kernel: 1, groups: 6}}")) == [
        ("AS0303", "8x8x6"), ("AS0305", "6"),
    ]  # fmt: skip


# Blocks


def test_the_block_instances_around_an_error_are_named() -> None:
    blocks = """
    outer: {args: [n], body: [{name: inner, unit: {n: $n}}]}
    unit: {args: [n], body: [{add: {x: [{name: c, conv: {out: 4, kernel: $n}}], y: [flatten]}}]}
    """
    text = net("- {name: one, outer: {n: 3}}\n- {name: two, outer: {n: 11}, from: input}", blocks=blocks)
    (diagnostic,) = (d for d in read(text)[1] if d.code == "AS0304")
    assert marked(diagnostic.span) == "11"
    assert diagnostic.found == "its input is 3x8x8"
    assert [(note.text, note.span.line if note.span else 0) for note in diagnostic.notes] == [
        ("in block unit, instantiated as two.inner", 4), ("in block outer, instantiated as two", 8),
    ]  # fmt: skip


def test_a_mistake_of_a_block_is_told_once_with_its_uses() -> None:
    blocks = "unit: {body: [{conv: {out: 4, kernel: 11}}]}"
    text = net("\n".join(f"- {{name: u{i}, unit: , output: 8x8x3}}" for i in range(12)), blocks=blocks)
    diagnostic = the(text, "AS0304", "11")
    assert [note.text for note in diagnostic.notes] == [f"in block unit, instantiated as u{i}" for i in range(8)]


def test_blocks_see_the_networks_arguments_and_their_own_first() -> None:
    blocks = (
        "a: {args: {n: int = 2}, body: [{conv: {out: $n, kernel: $k}}]}\nb: {body: [{conv: {out: $n, kernel: $k}}]}"
    )
    spec = good(net("- a\n- b\n- a: {n: 7}", args="{n: 5, k: 1}", blocks=blocks))
    assert [node.shape[0] for node in spec.graph.nodes[1:]] == [2, 5, 7]


def test_blocks_do_not_see_their_callers_arguments() -> None:
    blocks = "a: {args: [n], body: [b]}\nb: {body: [{conv: {out: $n, kernel: 1}}]}"
    assert ("AS0401", "n") in found(net("- a: {n: 3}", blocks=blocks))


def test_a_block_may_stand_before_the_one_it_uses() -> None:
    for blocks in ("a: {body: [b]}\nb: {body: [relu]}", "b: {body: [relu]}\na: {body: [b]}"):
        assert paths(good(net("- a", blocks=blocks))) == ["a.b.relu"]


@pytest.mark.parametrize(
    ("blocks", "circles"),
    [
        ("a: {body: [a]}", ["a -> a"]),
        ("a: {body: [b]}\nb: {body: [relu, a]}", ["a -> b -> a"]),
        (
            "a: {body: [b]}\nb: {body: [{add: {x: [c], y: []}}]}\nc: {body: [{repeat: {times: 2, body: [b]}}]}",
            ["b -> c -> b"],
        ),
        ("a: {body: [{relu: , when: false}, {a: , when: false}]}", ["a -> a"]),
        ("a: {body: [a]}\nb: {body: [b]}", ["a -> a", "b -> b"]),
    ],
)
def test_a_block_that_contains_itself_shows_the_circle(blocks: str, circles: list[str]) -> None:
    _, diagnostics = read(net("- a", blocks=blocks))
    assert [d.code for d in diagnostics if d.severity == "error"] == ["AS0404"] * len(circles)
    assert [d.message.rpartition(": ")[2].strip("`") for d in diagnostics if d.severity == "error"] == circles


def test_instances_with_equal_arguments_are_equal_layers() -> None:
    blocks = "unit: {args: [n], body: [{conv: {out: $n, kernel: 1}}, relu]}"
    one = good(net("- {name: a, unit: {n: 4}}\n- {name: b, unit: {n: 4}}", blocks=blocks))
    assert [node.op for node in one.graph.nodes[1:3]] == [node.op for node in one.graph.nodes[3:]]
    assert outline(one) != outline(good(net("- {name: a, unit: {n: 4}}\n- {name: b, unit: {n: 5}}", blocks=blocks)))


# Initial values at a step


@pytest.mark.parametrize(
    ("step", "code", "mark"),
    [
        ("{conv: {out: 4, kernel: 1}, init: {wieght: 0}}", "AS0202", "wieght"),
        ("{conv: {out: 4, kernel: 1, bias: false}, init: {bias: 0}}", "AS0202", "bias"),
        ("{conv: {out: 4, kernel: 1}, init: {weight: he}}", "AS0204", "he"),
        ("{conv: {out: 4, kernel: 1}, init: he_normal}", "AS0204", "he_normal"),
        ("{unit: , init: {weight: 0}}", "AS0202", "init"),
        ("{repeat: {times: 2, body: [unit]}, init: {weight: 0}}", "AS0202", "init"),
        ("{add: {x: [unit], y: []}, init: {weight: 0}}", "AS0202", "weight"),
    ],
)
def test_initial_values_that_are_none(step: str, code: str, mark: str) -> None:
    text = net(f"- {step}\n- unit", blocks="unit: {body: [tanh]}")
    assert [pair for pair in found(text) if pair[0] != "AS0604"] == [(code, mark)]
