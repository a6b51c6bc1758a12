"""What `edit` changes in a spec and in the one that it extends."""

from __future__ import annotations

import pytest

from tests.helpers.language import found, good, net, outline, the
from tests.unit.frontend.variants import BASE, base, edited, refused, shape, steps, variant


def test_set_changes_an_argument() -> None:
    for edit in ("set: {width: 6}", "set: {args.width: 6}"):
        assert outline(edited(edit)) == outline(variant("args: {width: 6}"))


def test_set_changes_a_cell_and_keeps_the_base_as_it_is() -> None:
    spec = edited("set: {m2.pool proj: 9}")
    assert shape(spec, "m2.concat")[0] == 13
    assert shape(spec, "m1.concat")[0] == 5
    assert outline(base()) == outline(variant())


def test_set_gives_a_cell_that_was_empty_and_a_column_that_was_not_there() -> None:
    assert shape(edited("set: {fc.out: 7, heads.main.classes: 7}"), "fc") == (7,)
    spec = edited("set: {stem.kernel: 3}")
    assert next(node.op for node in spec.graph.nodes if node.path == "stem.conv").model_dump()[
        "kernel"
    ] == (3,)
    assert shape(spec, "m2.concat") == shape(base(), "m2.concat")


def test_set_changes_the_type_and_the_name_of_a_row() -> None:
    spec = edited("set: {stem.type: conv, stem.kernel: 1, stem.name: first}")
    assert steps(spec)[0] == ("first", "conv")


def test_set_empties_a_cell() -> None:
    spec = edited("set: {m1.output: ~, m1.pool proj: 9}")
    assert shape(spec, "m1.concat")[0] == 11


def test_set_changes_a_step_between_rows() -> None:
    spec = edited("set: {drop.rate: 0.9}")
    assert (
        next(node.op for node in spec.graph.nodes if node.path == "drop").model_dump()["rate"]
        == 0.9
    )
    assert ("away", "dropout") in steps(edited("set: {drop.name: away}"))
    assert "drop" not in dict(steps(edited("set: {drop.when: false}")))


def test_set_gives_a_plain_step_its_first_argument() -> None:
    text = (
        net("- softmax\n- {name: b, batch_norm: }")
        + "edit: [{set: {softmax.name: s, b.eps: 0.5}}]\n"
    )
    spec = good(text)
    assert steps(spec) == [("s", "softmax"), ("b", "batch_norm")]
    assert spec.graph.nodes[2].op.model_dump()["eps"] == 0.5


def test_set_inside_a_block_changes_every_use() -> None:
    spec = edited("set: {blocks.unit.conv.bias: false}")
    assert [
        node.op.model_dump()["bias"] for node in spec.graph.nodes if node.op.kind == "conv"
    ] == [False] * 5
    spec = edited(
        "set: {blocks.module.pool.max_pool.kernel: 5, blocks.module.pool.max_pool.padding: 2}"
    )
    assert [
        node.op.model_dump()["kernel"] for node in spec.graph.nodes if node.op.kind == "max_pool"
    ] == [(5,)] * 2


def test_set_changes_a_blocks_declarations() -> None:
    assert shape(
        edited(
            "set: {blocks.unit.args.kernel: size = 3, kind: valid}".replace(", kind: valid", "")
        ),
        "stem.conv",
    ) == (4, 8, 8)
    assert (
        variant("edit: [{set: {blocks.unit.doc: A unit.}}]").graph.nodes[1].scope.doc == "A unit."
    )


def test_set_changes_a_key_of_a_section() -> None:
    spec = edited(
        "set: {heads.main.weight: 0.25, train.schedule.every: 9, name: New, input: [3, 4, 4], m1.output: ~}"
    )
    assert (spec.graph.heads[0].weight, spec.name, spec.graph.input) == (0.25, "New", (3, 4, 4))
    assert spec.document.train is not None
    assert spec.document.train.schedule is not None
    assert spec.document.train.schedule.every == 9


def test_set_replaces_a_branch() -> None:
    spec = edited("set: {blocks.module.concat.1x1: [], m1.output: ~}")
    assert shape(spec, "m1.concat") == (4 + 3, 8, 8)


def test_a_step_can_be_told_from_a_section() -> None:
    text = net("- {name: init, conv: {out: 4, kernel: 1}}") + "init: {conv: {bias: 0}}\n"
    assert good(text, sets=["network.init.out=7"]).graph.nodes[1].shape[0] == 7
    assert (
        good(text + "edit: [{insert_after: {network.init: flatten}}]\n").graph.nodes[2].op.kind
        == "flatten"
    )


@pytest.mark.parametrize(
    ("edit", "names"),
    [
        ("insert_after: {stem: tanh}", ["stem", "tanh", "m1"]),
        ("insert_before: {m1: tanh}", ["stem", "tanh", "m1"]),
        ("insert_before: {stem: {name: pre, lrn: {size: 5}}}", ["pre", "stem", "m1"]),
        ("insert_after: {stem: [tanh, {name: n, batch_norm: }]}", ["stem", "tanh", "n", "m1"]),
        ("insert_after: {stem: [[extra, unit, 4, ~, ~, 8x8x4]]}", ["stem", "extra", "m1"]),
        ("replace: {stem: {name: s2, conv: {out: 4, kernel: 1}}}", ["s2", "m1"]),
        ("replace: {stem: [[a, unit, 4, ~, ~, ~], [b, unit, 5, ~, ~, ~]]}", ["a", "b", "m1"]),
        ("remove: stem", ["m1"]),
        ("remove: [stem, drop]", ["m1", "m2"]),
        ("insert_after: {flatten: []}", ["stem", "m1"]),
        ("insert_after: {fc: softmax}", ["stem", "m1"]),
    ],
)
def test_steps_are_inserted_replaced_and_removed_between_rows(edit: str, names: list[str]) -> None:
    tops = dict.fromkeys(path.partition(".")[0] for path, _ in steps(edited(edit)))
    assert list(tops)[: len(names)] == names
    if "softmax" in edit:
        assert list(tops)[-1] == "softmax"


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("insert_after: {blocks.unit.conv: batch_norm}", ["stem.conv", "stem.batch_norm", "stem.relu"]),
        ("remove: blocks.unit.relu", ["stem.conv", "m1.1x1.unit.conv"]),
        ("replace: {blocks.unit.relu: [tanh, identity]}", ["stem.conv", "stem.tanh", "stem.identity"]),
        ("insert_before: {blocks.module.1x1.unit: identity}", ["stem.conv", "stem.relu", "m1.1x1.identity", "m1.1x1.unit.conv"]),
        ("insert_after: {blocks.module.concat.pool.proj: identity}", ["stem.conv", "stem.relu", "m1.1x1.unit.conv", "m1.1x1.unit.relu"]),
    ],
)  # fmt: skip
def test_steps_of_a_block_are_changed_for_every_use(edit: str, expected: list[str]) -> None:
    spec = (
        edited(edit) if "relu" not in edit else variant(f"args: {{deep: ~}}\nedit:\n  - {edit}\n")
    )
    assert [path for path, _ in steps(spec)][: len(expected)] == expected


def test_edits_are_made_in_order() -> None:
    spec = variant(
        "edit:\n  - insert_after: {stem: {name: a, conv: {out: 5, kernel: 1}}}\n  - set: {a.out: 6}\n  - remove: m1\n  - {set: {width: 2}, remove: drop}\nargs: {rate: ~}\n"
    )
    assert shape(spec, "a")[0] == 6
    assert {path.partition(".")[0] for path, _ in steps(spec)} == {
        "stem",
        "a",
        "m2",
        "flatten",
        "fc",
    }


def test_edits_need_no_base() -> None:
    assert steps(good(net("- {name: a, relu: }") + "edit: [{insert_after: {a: flatten}}]\n")) == [
        ("a", "relu"),
        ("flatten", "flatten"),
    ]


def test_steps_inside_a_repeat_are_edited_for_every_iteration() -> None:
    text = net(
        "- {name: down, repeat: {times: 2, as: i, body: [{name: 'c$i', conv: {out: 4, kernel: 1}}]}}"
    )
    spec = good(
        text + "edit: [{set: {down.c$i.out: 6, down.times: 3}}, {insert_after: {down.c$i: relu}}]\n"
    )
    assert [(n.path, n.shape[0]) for n in spec.graph.nodes[1:]] == [
        ("down.0.c0", 6), ("down.0.relu", 6), ("down.1.c1", 6), ("down.1.relu", 6), ("down.2.c2", 6), ("down.2.relu", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "code", "mark", "message", "help"),
    [
        ("set: {widht: 3}", "AS0411", "widht", "there is no `widht`", "did you mean `width`?"),
        ("set: {stem: 3}", "AS0411", "stem", "`stem` is a step", "`stem.out`"),
        ("set: {stme.out: 3}", "AS0411", "stme.out", "no step is called `stme`", "did you mean `stem`?"),
        ("set: {args.x: 3}", "AS0411", "args.x", "there is no argument `x`", "known arguments"),
        ("set: {heads.aux.weight: 3}", "AS0411", "heads.aux.weight", "there is no `aux`", "`main`"),
        ("set: {heads.main.weight.x: 3}", "AS0411", "heads.main.weight.x", "`weight` holds no keys", ""),
        ("set: {heads.main.wieght: 3}", "AS0202", "heads.main.wieght", "unknown key `wieght`", "`weight`"),
        ("set: {heads.main.only: ~}", "AS0411", "heads.main.only", "removes nothing: there is no `only`", ""),
        ("set: {blocks.unit.conv: 3}", "AS0411", "blocks.unit.conv", "is a step", "conv.out"),
        ("set: {blocks.unti.conv.out: 3}", "AS0411", "blocks.unti.conv.out", "there is no `unti`", "`unit`"),
        ("set: {blocks.unit.cnov.out: 3}", "AS0411", "blocks.unit.cnov.out", "no step is called `cnov`", "`conv`"),
        ("set: {blocks.unit.conv.kernal: 3}", "AS0202", "blocks.unit.conv.kernal", "`conv` has no argument `kernal`", "`kernel`"),
        ("set: {stem.conv.bias: false}", "AS0411", "stem.conv.bias", "what is inside the block `unit`", "`blocks.unit.conv.bias`"),
        ("set: {m1.#5x5: 3}", "AS0209", "m1.#5x5", "no row's op or block has an argument `#5x5`", ""),
        ("set: {drop.rat: 3}", "AS0202", "drop.rat", "`dropout` has no argument `rat`", "`rate`"),
        ("set: {width: wide}", "AS0204", "wide", "`width`: expected an int, found string `wide`", ""),
        ("set: {width: 2.5}", "AS0504", "2.5", "`width`: expected an int, found float `2.5`", ""),
        ("set: {width: ~}", "AS0204", "~", "found nothing", ""),
        ("set: {width: [3]}", "AS0204", "[3]", "found list", ""),
        ("set: {deep: 1}", "AS0204", "1", "`deep`: expected true or false, found int `1`", ""),
        ("set: {rate: high}", "AS0204", "high", "`rate`: expected a number", ""),
        ("set: {kind: 3}", "AS0204", "3", "`kind`: expected a text", ""),
        ("set: {a..b: 3}", "AS0411", "a..b", "`a..b` is not an address", "dots"),
        ("set: [width]", "AS0204", "[width]", "`set` takes a mapping of addresses to values, found a list", ""),
        ("sett: {width: 3}", "AS0202", "sett", "unknown edit `sett`", "did you mean `set`?"),
        ("remove: stme", "AS0411", "stme", "no step is called `stme`", "did you mean `stem`?"),
        ("remove: [stem, {a: b}]", "AS0204", "{a: b}", "`remove` takes an address or a list of them, found a mapping", ""),
        ("remove: stem.conv", "AS0411", "stem.conv", "what is inside the block `unit`", "`blocks.unit.conv`"),
        ("remove: heads.main", "AS0411", "heads.main", "`heads.main` is not a step", "`set` it to `~`"),
        ("remove: stem.out", "AS0411", "stem.out", "", ""),
        ("insert_after: stem", "AS0204", "stem", "`insert_after` takes a mapping", ""),
        ("insert_after: {stem: rellu}", "AS0203", "rellu", "unknown op or block `rellu`", "`relu`"),
        ("insert_after: {blocks.module.concat.1x1: relu}", "AS0411", "blocks.module.concat.1x1", "is a body, not a step", "inside"),
        ("width", "AS0204", "width", "an edit is a mapping, found string `width`", "`set:"),
    ],
)  # fmt: skip
def test_an_edit_that_means_nothing(
    edit: str, code: str, mark: str, message: str, help: str
) -> None:
    diagnostic = refused(f"edit:\n  - {edit}\n", code, mark)
    assert message in diagnostic.message, diagnostic.message
    assert help in diagnostic.help, diagnostic.help


def test_an_edit_list_is_a_list() -> None:
    refused("edit: {set: {width: 3}}\n", "AS0204", "{set: {width: 3}}")
    assert outline(variant("edit: ~\n")) == outline(base())


def test_every_wrong_edit_is_told() -> None:
    text = "archspec: 1\nextends: base.yaml\nedit:\n  - set: {a: 1, b: 2}\n  - remove: [c, d]\n  - sett: {}\n"
    assert found(text, files={"base.yaml": BASE}) == [
        ("AS0411", "a"), ("AS0411", "b"), ("AS0411", "c"), ("AS0411", "d"), ("AS0202", "sett"),
    ]  # fmt: skip


def test_edits_cannot_nest_without_end() -> None:
    nest = "add: {a: [" * 18 + "{name: deep, relu: }" + "], b: []}" * 18
    nest = nest.replace("[add", "[{add").replace("]}], b", "]}}], b").replace("b: []}]", "b: []}}]")
    edits = "".join(
        f"  - replace: {{{'.'.join(['a'] * 18 * i + ['deep'])}: {{{nest}}}}}\n" for i in range(3)
    )
    text = net("- {name: deep, relu: }") + "edit:\n" + edits
    assert found(text)[0][0] == "AS0105"


def test_too_many_edits_of_too_large_a_spec() -> None:
    text = net("".join(f"- {{name: n{i}, relu: }}\n" for i in range(2000)))
    the(text + "edit:\n" + "".join(f"  - remove: n{i}\n" for i in range(1500)), "AS0106")
