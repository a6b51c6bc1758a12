"""What steps are called, what `from` names, and what is said where they go wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.language import good, marked, net, paths, read, the

CONV = "{conv: {out: 4, kernel: 3, padding: 1}}"

# Names


def test_steps_without_names_are_numbered() -> None:
    steps = "- relu\n- conv: {out: 4, kernel: 1}\n- relu\n- {conv: {out: 4, kernel: 1}}\n- {relu: , from: conv}\n- tanh"
    assert paths(good(net(steps))) == ["relu", "conv", "relu_2", "conv_2", "relu_3", "tanh"]


def test_a_number_that_is_taken_is_passed_over() -> None:
    steps = (
        "- flatten\n- {name: identity_2, reshape: {to: [-1]}}\n- identity\n- identity\n- identity"
    )
    assert paths(good(net(steps))) == [
        "flatten",
        "identity_2",
        "identity",
        "identity_3",
        "identity_4",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "#3x3 reduce",
        "a/b",
        "depthwise 3×3",
        "_",
        "class",
        "__init__",
        "a-b",
        "1",
        "π",
        "x" * 10_000,
    ],
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
    assert [(d.code, d.span.line, marked(d.span)) for d in diagnostics] == [
        ("AS0403", 5, "a"),
        ("AS0403", 6, "a"),
    ]
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
        st.sampled_from(
            ["flatten", "identity", "dropout: {rate: 0.1}", "name: identity_2\n  identity:"]
        ),
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
    assert [node.inputs for node in good(net(steps)).graph.nodes[1:]] == [
        (0,),
        (1,),
        (1,),
        (2, 3, 0),
    ]


def test_from_takes_what_a_repeat_an_iteration_a_merge_and_a_block_gave() -> None:
    steps = """
    - name: down
      repeat: {times: 3, as: i, body: [{conv: {out: "${i + 1}", kernel: 1}}]}
    - {name: m, add: {x: [relu], y: []}}
    - {name: u, unit: }
    - {name: j, from: [down.0, down.2, down, m, u, concat_1], concat: }
    """.replace(", concat_1", "")
    nodes = good(
        net(steps, blocks="unit: {body: [tanh, flatten, {reshape: {to: [-1, 8, 8]}}]}")
    ).graph.nodes
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
        the(net("- {name: stem, relu: }\n- {flatten: , from: steam}"), "AS0402", "steam").help
        == "did you mean `stem`?"
    )


def test_one_op_takes_one_value() -> None:
    text = net("- {name: a, relu: }\n- {name: b, flatten: }\n- {tanh: , from: [a, b]}")
    assert "`tanh` takes one value, `from` names 2" in the(text, "AS0204", "[a, b]").message


def test_a_merge_takes_several() -> None:
    assert (
        "`from` names 1"
        in the(net("- {name: a, relu: }\n- {add: , from: a}"), "AS0311", "a").message
    )
    assert (
        "`from` names 0"
        in the(net("- {name: a, relu: }\n- {add: , from: []}"), "AS0311", "[]").message
    )
