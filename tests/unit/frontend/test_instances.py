"""Bodies that are there several times: `repeat` and blocks, and how a mistake in one of them is told."""

from __future__ import annotations

import pytest

from tests.helpers.language import found, good, layers, marked, net, outline, paths, read, the

# repeat


@pytest.mark.parametrize("times", [0, 1, 4])
def test_a_repeat_is_its_body_so_many_times(times: int) -> None:
    repeated = net(
        f"- repeat: {{times: {times}, as: i, body: [{{conv: {{out: '${{2 ** i}}', kernel: 1}}}}, relu]}}"
    )
    written = net(
        "".join(f"- conv: {{out: {2**i}, kernel: 1}}\n- relu\n" for i in range(times)) or "[]"
    )
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
    assert found(net("- repeat: {times: 2, as: i, body: [relu]}\n- {tanh: , name: 'x$i'}"))[-1] == (
        "AS0401",
        "i",
    )
    blocks = "unit: {body: [{conv: {out: '${i + 1}', kernel: 1}}]}"
    assert found(net("- repeat: {times: 2, as: i, body: [unit]}", blocks=blocks)) == [
        ("AS0401", "i")
    ]


def test_two_repeats_may_have_the_same_counter() -> None:
    repeat = (
        "- {name: NAME, repeat: {times: 2, as: i, body: [{conv: {out: '${i + 1}', kernel: 1}}]}}"
    )
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
    text = net(
        f"- repeat:\n    times: {times}\n    body: [flatten]\n- {{relu: , when: '${{n == 4}}'}}",
        args="{n: 4}",
    )
    assert message in the(text, code, mark).message


def test_an_error_in_a_repeat_is_told_once_with_its_iterations() -> None:
    steps = "- {name: down, repeat: {times: 3, as: i, body: [{conv: {out: 4, kernel: 9}, output: 8x8x4}]}}"
    diagnostic = the(net(steps), "AS0304", "9")
    assert [note.text for note in diagnostic.notes] == [
        f"in iteration {i} of down" for i in range(3)
    ]


# Blocks


def test_the_block_instances_around_an_error_are_named() -> None:
    blocks = """
    outer: {args: [n], body: [{name: inner, unit: {n: $n}}]}
    unit: {args: [n], body: [{add: {x: [{name: c, conv: {out: 4, kernel: $n}}], y: [flatten]}}]}
    """
    text = net(
        "- {name: one, outer: {n: 3}}\n- {name: two, outer: {n: 11}, from: input}", blocks=blocks
    )
    (diagnostic,) = (d for d in read(text)[1] if d.code == "AS0304")
    assert marked(diagnostic.span) == "11"
    assert diagnostic.label == "its input is 3x8x8"
    assert [(note.text, note.span.line if note.span else 0) for note in diagnostic.notes] == [
        ("in block unit, instantiated as two.inner", 4), ("in block outer, instantiated as two", 8),
    ]  # fmt: skip


def test_a_mistake_of_a_block_is_told_once_with_its_uses() -> None:
    blocks = "unit: {body: [{conv: {out: 4, kernel: 11}}]}"
    text = net(
        "\n".join(f"- {{name: u{i}, unit: , output: 8x8x3}}" for i in range(12)), blocks=blocks
    )
    diagnostic = the(text, "AS0304", "11")
    assert [note.text for note in diagnostic.notes] == [
        f"in block unit, instantiated as u{i}" for i in range(8)
    ]


def test_blocks_see_the_networks_arguments_and_their_own_first() -> None:
    blocks = "a: {args: {n: int = 2}, body: [{conv: {out: $n, kernel: $k}}]}\nb: {body: [{conv: {out: $n, kernel: $k}}]}"
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
    assert [
        d.message.rpartition(": ")[2].strip("`") for d in diagnostics if d.severity == "error"
    ] == circles


def test_instances_with_equal_arguments_are_equal_layers() -> None:
    blocks = "unit: {args: [n], body: [{conv: {out: $n, kernel: 1}}, relu]}"
    one = good(net("- {name: a, unit: {n: 4}}\n- {name: b, unit: {n: 4}}", blocks=blocks))
    assert [node.op for node in one.graph.nodes[1:3]] == [node.op for node in one.graph.nodes[3:]]
    assert outline(one) != outline(
        good(net("- {name: a, unit: {n: 4}}\n- {name: b, unit: {n: 5}}", blocks=blocks))
    )
