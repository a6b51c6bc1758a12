"""A spec as a whole: its keys, its input, the sections around the network, and what is warned of."""

from __future__ import annotations

import pytest

from tests.helpers.language import found, good, net, read, the

# Keys


def test_a_spec_has_a_version_an_input_and_a_network() -> None:
    assert "no `archspec` and no `input` and no `network`" in the("name: x", "AS0201").message
    diagnostic = the("input: [3]\nnetwork: [relu]", "AS0201")
    assert (diagnostic.message, diagnostic.help) == (
        "the spec has no `archspec`",
        "a spec begins with `archspec: 1`",
    )
    the("archspec: 1\ninput: ~\nnetwork: [relu]", "AS0201")
    the("archspec: 1\ninput: [3]\nnetwork:", "AS0201")


@pytest.mark.parametrize("version", ["2", "'1'", "true", "1.0", "[1]", "one"])
def test_a_version_that_we_do_not_read(version: str) -> None:
    diagnostic = the(f"archspec: {version}\ninput: [3]\nnetwork: [relu]", "AS0205", version)
    assert "unknown version of the language" in diagnostic.message
    assert "version 1" in diagnostic.help


def test_an_unknown_key() -> None:
    assert the(net() + "netwrok: []\n", "AS0202", "netwrok").help == "did you mean `network`?"


@pytest.mark.parametrize("name", ["[a]", "{a: b}", "''", "' '"])
def test_a_name_is_a_text(name: str) -> None:
    assert the(net() + f"name: {name}\n", "AS0204", name).message.startswith("`name` is a text")


@pytest.mark.parametrize(
    ("name", "title"), [("GoogLeNet", "GoogLeNet"), ("2012", "2012"), ("~", "spec"), ("no", "no")]
)
def test_a_network_has_a_name(name: str, title: str) -> None:
    assert good(net() + f"name: {name}\n").name == title


def test_a_spec_is_a_mapping() -> None:
    assert "found a list" in the("[1, 2]", "AS0204", "[1, 2]").message
    assert "found string `relu`" in the("relu", "AS0204", "relu").message


# Input


@pytest.mark.parametrize(
    ("input", "shape"),
    [
        ("[3]", (3,)),
        ("[3, 8]", (3, 8)),
        ("[3, 8, 9]", (3, 8, 9)),
        ("[3, 8, 9, 10]", (3, 8, 9, 10)),
        ('[3, $n, "${n * 2}"]', (3, 4, 8)),
    ],
)
def test_an_input_is_a_shape(input: str, shape: tuple[int, ...]) -> None:
    assert (
        good(net("- {relu: , when: '${n == 4}'}", input=input, args="{n: 4}")).graph.input == shape
    )


@pytest.mark.parametrize(
    ("input", "code", "mark"),
    [
        ("3", "AS0204", "3"), ("[]", "AS0204", "[]"), ("[1, 2, 3, 4, 5]", "AS0204", "[1, 2, 3, 4, 5]"), ("3x8x8", "AS0204", "3x8x8"),
        ("[3, 8.0, 8]", "AS0504", "8.0"), ("[3, true]", "AS0204", "true"), ("[3, ~]", "AS0204", "~"), ("[3, '8']", "AS0204", "'8'"),
        ("[3, 0, 8]", "AS0205", "0"), ("[-3]", "AS0205", "-3"), ("[3, 5000000000000000000]", "AS0505", "5000000000000000000"),
        ("{c: 3}", "AS0204", "{c: 3}"), ("[3, $m]", "AS0401", "m"), ("[3, $in.channels]", "AS0401", "in"), ('[3, "${7 / 2}"]', "AS0504", '"${7 / 2}"'),
    ],
)  # fmt: skip
def test_an_input_that_is_none(input: str, code: str, mark: str) -> None:
    the(net(input=input), code, mark)


def test_mistakes_are_found_without_an_input() -> None:
    assert found(net("- {conv: {out: 0, kernel: 1}}\n- {relu: , from: a}", input="[0]")) == [
        ("AS0205", "0"), ("AS0205", "0"), ("AS0402", "a"),
    ]  # fmt: skip


# Sections


@pytest.mark.parametrize(
    ("section", "code", "mark", "message"),
    [
        ("source: {title: a, titel: x}", "AS0202", "titel", "unknown key `titel` in `source`"),
        ("source: {year: 2015}", "AS0201", "source", "`source` needs a value for `title`"),
        ("source: {title: x, year: '2015'}", "AS0204", "'2015'", "`year` takes an integer, found string `2015`"),
        ("source: GoogLeNet", "AS0204", "GoogLeNet", "`source` takes a mapping, found string `GoogLeNet`"),
        ("heads: {main: {loss: crossentropy}}", "AS0204", "crossentropy", "`loss` takes one of `cross_entropy`"),
        ("heads: {main: {weight: -1}}", "AS0205", "-1", "`weight` takes a number of at least 0, found int `-1`"),
        ("heads: {main: {weight: .nan}}", "AS0205", ".nan", "found float `nan`"),
        ("heads: {main: {classes: 0}}", "AS0205", "0", "`classes` takes an integer of at least 1"),
        ("heads: {main: {clases: 2}}", "AS0202", "clases", "unknown key `clases` in `main`"),
        ("heads: {main: 3}", "AS0204", "3", "found int `3`"),
        ("heads: [main]", "AS0204", "[main]", "`heads` takes a mapping"),
        ("claims: {tolerance: 2}", "AS0205", "2", "`tolerance` takes a number of at least 0 and at most 1"),
        ("claims: {units: {K: 0}}", "AS0205", "0", "above 0"),
        ("claims: {totals: {parameters: 1}}", "AS0202", "parameters", "unknown key `parameters`"),
        ("claims: {errata: {conv1: 3}}", "AS0204", "3", "takes a text, found int `3`"),
        ("preprocess: {resize: 0}", "AS0205", "0", "`resize` takes"),
        ("preprocess: {crop: centre}", "AS0204", "centre", "one of `center`, `none`"),
        ("preprocess: {mean: [a]}", "AS0204", "a", "found string `a`"),
        ("labels: {a: b}", "AS0204", "{a: b}", "`labels` takes a list"),
        ("labels: [a, 3]", "AS0204", "3", "found int `3`"),
        ("init: {convv: {weight: 0}}", "AS0203", "convv", "unknown op `convv`"),
        ("init: {conv: {wieght: 0}}", "AS0202", "wieght", "unknown key `wieght`"),
        ("init: {conv: {weight: he}}", "AS0204", "he", "`weight` takes"),
        ("init: {conv: {weight: {normal: 1, constant: 2}}}", "AS0205", "{normal: 1, constant: 2}", "one key"),
        ("init: {conv: {weight: {normall: 1}}}", "AS0202", "normall", "unknown key `normall` in `weight`"),
        ("preprocess: {std: [1.0, 0.0]}", "AS0205", "0.0", "`std` takes a list of numbers above 0, found float `0.0`"),
        ("train: {lr: 0.1}", "AS0202", "lr", "unknown key `lr` in `train`"),
        ("train: {learning_rate: 0}", "AS0205", "0", "above 0"),
        ("train: {epochs: 2.5}", "AS0504", "2.5", "`epochs` is an integer, found float `2.5`"),
        ("train: {schedule: {kind: step, evry: 3}}", "AS0202", "evry", "unknown key `evry` in `schedule`"),
    ],
)  # fmt: skip
def test_a_value_of_a_section_that_does_not_fit(
    section: str, code: str, mark: str, message: str
) -> None:
    text = net("- {name: conv1, conv: {out: 2, kernel: 1}, params: 8}") + section + "\n"
    diagnostic = the(text, code, mark)
    assert message in diagnostic.message, diagnostic.message


def test_values_of_sections_are_expressions_over_the_arguments() -> None:
    text = net("- flatten\n- linear: {out: $classes}", args="{classes: 10, rate: 0.1}")
    text += "heads: {main: {classes: $classes}}\ntrain: {learning_rate: '${rate / 2}'}\n"
    spec = good(text, classes=3)
    assert spec.graph.heads[0].classes == 3
    assert spec.document.train is not None
    assert spec.document.train.learning_rate == 0.05


@pytest.mark.parametrize(
    ("section", "code", "mark"),
    [
        ("heads: {main: {classes: $clases}}", "AS0401", "clases"),
        ("heads: {main: {classes: '${n / 3}'}}", "AS0504", "'${n / 3}'"),
        ("heads: {main: {classes: '${n // 0}'}}", "AS0503", "n // 0"),
        ("train: {epochs: $in.channels}", "AS0401", "in"),
    ],
)
def test_an_expression_of_a_section_that_fails(section: str, code: str, mark: str) -> None:
    the(net("- {relu: , when: '${n == 4}'}", args="{n: 4}") + section + "\n", code, mark)


def test_the_sections_are_checked_even_where_one_of_them_fails() -> None:
    text = net("- {conv: {out: 0, kernel: 1}, aux: side}")
    text += "heads: {main: {classes: $c}}\ntrain: {epochs: 0}\nlabels: 3\n"
    assert found(text) == [("AS0205", "0"), ("AS0401", "c"), ("AS0205", "0"), ("AS0204", "3")]


# Warnings


def warned(text: str) -> list[tuple[str, str]]:
    spec, diagnostics = read(text)
    assert spec is not None
    assert {d.severity for d in diagnostics} <= {"warning"}
    assert spec.warnings == diagnostics
    return found(text)


def test_an_argument_that_nothing_uses() -> None:
    assert warned(net(args="{n: 4, m: 3}")) == [("AS0601", "n"), ("AS0601", "m")]
    assert warned(net("- u", blocks="u: {args: {n: int = 3, m: int = $n}, body: [relu]}")) == [
        ("AS0601", "m")
    ]


@pytest.mark.parametrize(
    "use",
    [
        "network: [{conv: {out: $n, kernel: 1}}]", "network: [{relu: , name: 'x$n'}]", "network: [{relu: , when: '${n == 4}'}]",
        "network: [{repeat: {times: $n, body: [flatten]}}]", "network: [{relu: , output: '8x8x${n - 1}'}]", "input: [$n, 8, 8]",
        "blocks: {u: {body: [{dropout: {rate: '${n / 8}'}}]}}\nnetwork: [u]", "blocks: {u: {args: {m: int = $n}, body: [{conv: {out: $m, kernel: 1}}]}}\nnetwork: [u]",
        "heads: {main: {weight: $n}}", "train: {epochs: $n}", "preprocess: {resize: $n}", "init: {conv: {bias: $n}}",
        "network: [{conv: {out: 1, kernel: 1}, init: {bias: $n}}]",
    ],
)  # fmt: skip
def test_an_argument_that_something_uses(use: str) -> None:
    base = "archspec: 1\nargs: {n: 4}\n"
    for key, text in (("input", "input: [3, 8, 8]\n"), ("network", "network: [relu]\n")):
        base += "" if f"{key}:" in use else text
    assert "AS0601" not in {code for code, _ in warned(base + use + "\n")}


def test_a_block_that_nothing_uses() -> None:
    assert warned(net("- a", blocks="a: {body: [relu]}\nb: {body: [a]}")) == [("AS0602", "b")]
    assert (
        warned(
            net(
                "- {name: x, relu: , aux: h}",
                blocks="b: {body: [flatten]}",
                heads="h: {block: b, loss: none}",
            )
        )
        == []
    )


def test_the_unused_blocks_and_arguments_of_an_extended_spec() -> None:
    base = net("- a", blocks="a: {body: [relu]}")
    variant = "archspec: 1\nextends: base.yaml\nnetwork: [tanh]\nblocks: {mine: {body: [relu]}}\n"
    assert [(d.code, d.message) for d in read(variant, files={"base.yaml": base})[1]] == [
        ("AS0602", "nothing uses the block `mine`")
    ]


def test_a_result_that_nothing_uses() -> None:
    steps = "- {name: a, conv: {out: 3, kernel: 1}}\n- {name: b, tanh: }\n- {relu: , from: input}"
    assert warned(net(steps)) == [("AS0603", "tanh")]
    assert (
        warned(
            net(
                "- {name: a, relu: }\n- {name: b, tanh: , from: input, aux: h}\n- {flatten: , from: a}",
                heads="h: {loss: none}",
            )
        )
        == []
    )


@pytest.mark.parametrize(
    ("steps", "marks"),
    [
        ("- relu\n- relu", ["relu"]), ("- relu\n- {dropout: {rate: 0.5}}\n- relu", []), ("- tanh\n- softmax", []), ("- softmax\n- relu", ["relu"]),
        ("- relu\n- add: {x: [tanh], y: []}", ["tanh"]), ("- add: {x: [relu], y: []}\n- relu", []), ("- unit\n- gelu", ["gelu"]),
    ],
)  # fmt: skip
def test_two_activations_in_a_row(steps: str, marks: list[str]) -> None:
    text = net(
        steps,
        input="[3]",
        blocks="unit: {body: [{linear: {out: 3}}, relu]}" if "unit" in steps else "{}",
        heads="main: {loss: none}",
    )
    assert warned(text) == [("AS0604", mark) for mark in marks]


def test_warnings_of_a_block_are_told_once() -> None:
    assert warned(
        net("- u\n- u\n- u", blocks="u: {body: [{conv: {out: 3, kernel: 1}}, relu, tanh]}")
    ) == [("AS0604", "tanh")]


# Heads


SIDE = "side: {body: [global_avg_pool, flatten, {linear: {out: 2}}]}"


def test_a_head_is_computed_from_the_step_that_it_hangs_on() -> None:
    steps = "- {name: a, conv: {out: 5, kernel: 1}, aux: one}\n- {name: b, conv: {out: 6, kernel: 1}}\n- {name: c, relu: }"
    heads = "one: {block: side, weight: 0.3, only: train, loss: mse}\ntwo: {from: b, loss: none}\nmain: {loss: none}"
    spec = good(net(steps, blocks=SIDE, heads=heads))
    graph = spec.graph
    assert [(head.name, graph.nodes[head.node].path, head.loss, head.weight, head.train_only) for head in graph.heads] == [
        ("main", "c", "none", 1.0, False), ("one", "one.linear", "mse", 0.3, True), ("two", "b", "none", 1.0, False),
    ]  # fmt: skip
    assert [node.path for node in graph.nodes if node.scope.kind == "head"] == [
        "one.global_avg_pool",
        "one.flatten",
        "one.linear",
    ]
    assert {graph.nodes[i].path for i in graph.inference} == {"input", "a", "b", "c"}


def test_aux_and_from_say_the_same() -> None:
    aux = good(
        net(
            "- {name: a, relu: , aux: h}\n- flatten",
            blocks=SIDE,
            heads="h: {block: side, loss: mse}",
        )
    )
    by = good(
        net(
            "- {name: a, relu: }\n- flatten",
            blocks=SIDE,
            heads="h: {block: side, from: a, loss: mse}",
        )
    )
    assert [(n.path, n.inputs) for n in aux.graph.nodes] == [
        (n.path, n.inputs) for n in by.graph.nodes
    ]


def test_main_is_there_without_being_named() -> None:
    (head,) = good(net()).graph.heads
    assert (head.name, head.node, head.loss) == ("main", 1, "cross_entropy")


@pytest.mark.parametrize(
    ("steps", "heads", "code", "mark", "message"),
    [
        ("- {name: a, relu: , aux: h}", "g: {from: a, loss: none}", "AS0405", "h", "there is no head `h`"),
        ("- {name: a, relu: , aux: main}", "main: {}", "AS0405", "main", "there is no head `main`"),
        ("- {name: a, relu: , aux: 3}", "{}", "AS0204", "3", "`aux` names a head, found int `3`"),
        ("- relu", "h: {loss: none}", "AS0406", "h", "the head `h` is attached to no step"),
        ("- relu", "h: {from: rlu, loss: none}", "AS0406", "rlu", "attaches to `rlu`, and no step has that name"),
        ("- {name: a, relu: , aux: h}", "h: {from: a, loss: none}", "AS0407", "a", "the head `h` is attached twice"),
        ("- {name: a, relu: , aux: h}\n- {flatten: , aux: h}", "h: {loss: none}", "AS0407", "h", "attached twice"),
        ("- {name: a, relu: , aux: h}", "h: {block: sid}", "AS0203", "sid", "unknown block `sid`"),
        ("- {name: a, relu: , aux: h}", "h: {block: relu}", "AS0203", "relu", "unknown block `relu`"),
        ("- {name: h, relu: , aux: h}", "h: {block: side, loss: none}", "AS0403", "h", "the name `h` is used twice"),
        ("- {name: a, relu: , aux: h}", "h: {block: needs}", "AS0207", "h", "`h` gives no `n`, which `needs` needs"),
        ("- relu", "main: {block: side}", "AS0202", "side", "the head `main` takes no `block`"),
        ("- {name: a, relu: }", "main: {from: a}", "AS0202", "a", "the head `main` takes no `from`"),
        ("- {name: a, relu: }", "h.1: {from: a, loss: none}", "AS0210", "h.1", "a head's name is a text without dots"),
        ("- add: {x: [{relu: , aux: h}], y: []}", "h: {loss: none}", "AS0405", "h", "a head attaches to a step of the network itself"),
        ("- {name: a, unit: }", "h: {from: c, loss: none}", "AS0406", "c", "no step has that name"),
    ],
)  # fmt: skip
def test_a_head_that_hangs_nowhere_or_twice(
    steps: str, heads: str, code: str, mark: str, message: str
) -> None:
    blocks = (
        SIDE
        + "\nneeds: {args: [n], body: [{conv: {out: $n, kernel: 1}}]}\nunit: {body: [{name: c, tanh: }]}"
    )
    errors = [d for d in read(net(steps, blocks=blocks, heads=heads))[1] if d.severity == "error"]
    if code == "AS0405" and "add" in steps:
        errors = errors[-1:]
    assert [d.code for d in errors] == [code]
    assert message in errors[0].message
    assert found(net(steps, blocks=blocks, heads=heads)).count((code, mark)) == 1


def test_a_head_attached_twice_shows_the_first() -> None:
    diagnostic = the(
        net("- {relu: , aux: h}\n- {flatten: , aux: h}", heads="h: {loss: none}"), "AS0407", "h"
    )
    assert [(note.text, note.span.line if note.span else 0) for note in diagnostic.notes] == [
        ("first attached", 6)
    ]


@pytest.mark.parametrize(
    ("width", "heads", "code"),
    [
        (10, "main: {classes: 10}", None), (9, "main: {classes: 10}", "AS0309"), (9, "main: {classes: 10, loss: mse}", None),
        (9, "main: {classes: 10, loss: none}", None), (1, "main: {classes: 2, loss: binary_cross_entropy}", None),
        (2, "main: {classes: 2, loss: binary_cross_entropy}", None), (1, "main: {classes: 3, loss: binary_cross_entropy}", "AS0309"),
        (1, "main: {classes: 2}", "AS0309"), (2, "main: {}\nh: {from: a, block: side}", None), (3, "main: {}\nh: {from: a, block: side}", "AS0309"),
        (3, "main: {}\nh: {from: a, block: side, classes: 2}", None), (3, "main: {}\nh: {from: a, block: side, loss: mse}", None),
    ],
)  # fmt: skip
def test_a_classifier_is_as_wide_as_its_classes(width: int, heads: str, code: str | None) -> None:
    steps = f"- {{name: a, relu: }}\n- flatten\n- linear: {{out: {width}}}"
    errors = [
        d.code for d in read(net(steps, blocks=SIDE, heads=heads))[1] if d.severity == "error"
    ]
    assert errors == ([code] if code else [])
