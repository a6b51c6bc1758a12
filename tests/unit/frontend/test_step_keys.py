"""What a step says beside its op: `when`, `output`, `init`, and `in` in its expressions."""

from __future__ import annotations

import pytest

from tests.helpers.language import found, good, net, paths, read, the

# when


@pytest.mark.parametrize(
    ("condition", "there"),
    [("true", True), ("false", False), ("$deep", True), ("${not deep}", False)],
)
def test_when_says_whether_a_step_is_there(condition: str, there: bool) -> None:
    for step in ("tanh: ", "unit: ", "repeat: {times: 1, body: [tanh]}", "add: {x: [tanh], y: []}"):
        text = net(
            f"- {step}\n  when: {condition}", args="{deep: true}", blocks="unit: {body: [tanh]}"
        )
        assert any(node.op.kind == "tanh" for node in good(text).graph.nodes) == there


def test_when_reads_the_value_that_enters() -> None:
    steps = "- {conv: {out: 4, kernel: 1}}\n- {tanh: , when: '${in.channels == 4}'}\n- {elu: , when: '${in.channels == 3}'}"
    assert paths(good(net(steps))) == ["conv", "tanh"]


def test_one_of_two_steps_of_the_same_name_is_there() -> None:
    steps = "- {name: pool, max_pool: {kernel: 2}, when: $max}\n- {name: pool, avg_pool: {kernel: 2}, when: '${not max}'}"
    text = net(steps, args="{max: true}")
    assert [good(text, max=value).graph.nodes[1].op.kind for value in (True, False)] == [
        "max_pool",
        "avg_pool",
    ]


def test_a_step_that_is_left_out_keeps_its_number() -> None:
    text = net("- {identity: , when: $deep}\n- {identity: }\n- {identity: }", args="{deep: true}")
    assert paths(good(text)) == ["identity", "identity_2", "identity_3"]
    assert paths(good(text, deep=False)) == ["identity_2", "identity_3"]


def test_a_step_that_is_left_out_cannot_be_named() -> None:
    assert found(net("- {name: a, relu: , when: false}\n- {tanh: , from: a}")) == [("AS0402", "a")]


@pytest.mark.parametrize(
    "condition", ["1", "'yes'", "yes", "[true]", "$n", "${n + 1}", "$in", "0.0"]
)
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
    assert [
        node.shape[0] for node in good(net("- unit", input="[8, 4, 4]", blocks=blocks)).graph.nodes
    ] == [8, 4, 12]


def test_an_argument_of_a_block_reads_what_enters_the_block() -> None:
    blocks = "unit: {args: {out: int}, body: [{conv: {out: 5, kernel: 1}}, {conv: {out: $out, kernel: 1}}]}"
    assert (
        good(net("- unit: {out: '${in.channels * 7}'}", blocks=blocks)).graph.nodes[-1].shape[0]
        == 21
    )


def test_in_after_a_mistake_is_unknown_and_silent() -> None:
    assert found(
        net(
            "- conv: {out: 0, kernel: 1}\n- conv: {out: $in.channels, kernel: 1}\n- {tanh: , when: '${in.rank == 2}'}"
        )
    ) == [("AS0205", "0")]


def test_in_after_a_repeat_or_a_merge_is_what_entered_them() -> None:
    good(
        net(
            "- {repeat: {times: 2, body: [{conv: {out: 9, kernel: 1}}]}, output: '8x8x${in.channels * 3}'}"
        )
    )
    good(
        net(
            "- {concat: {x: [{conv: {out: 6, kernel: 1}}], y: []}, output: '8x8x${in.channels * 3}'}"
        )
    )


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
        ("8x8x5", "8x8x5", "`conv` declares 5x8x8 but produces 4x8x8"),
        ("4x8x8", "4x8x8", "`conv` declares 8x4x8 but produces 4x8x8"),
        ("[4, 8]", "[4, 8]", "`conv` declares 4x8 but produces 4x8x8"),
        ("256", "256", "`conv` declares 256 but produces 4x8x8"),
    ],
)
def test_an_output_that_is_not_met(output: str, mark: str, message: str) -> None:
    diagnostic = the(net(f"- {{conv: {{out: 4, kernel: 1}}, output: {output}}}"), "AS0303", mark)
    assert diagnostic.message == message
    assert diagnostic.label == "it is 4x8x8, channels first"


@pytest.mark.parametrize(
    "output", ["wide", "8x", "0x8x3", "[3, 0, 8]", "2.5", "true", "{a: 1}", "[]", "8X8X3", "-3"]
)
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
    assert found(text) == [
        ("AS0205", "0"),
        ("AS0304", "9"),
        ("AS0204", "x"),
        ("AS0301", "y"),
        ("AS0305", "3"),
    ]


def test_a_wrong_output_is_believed_in_what_follows() -> None:
    assert found(net("- {conv: {out: 4, kernel: 1}, output: 8x8x6}\n- {conv: {out: 4, kernel: 1, groups: 6}}")) == [
        ("AS0303", "8x8x6"), ("AS0305", "6"),
    ]  # fmt: skip


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
