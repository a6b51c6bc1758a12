"""Variants: what `extends` lays over a spec, what `edit` and `--set` change in it."""

from __future__ import annotations

from typing import Any

import pytest

from archspec.spec import Spec
from tests.helpers.language import found, good, marked, net, outline, read, the

BASE = """archspec: 1
name: Base
input: [3, 8, 8]
args: {width: 4, rate: 0.5, deep: true, kind: same}
blocks:
  unit:
    args: {out: int, kernel: size = 1}
    body:
      - {name: conv, conv: {out: $out, kernel: $kernel, padding: $kind}}
      - {relu: , when: $deep}
  module:
    args: ["#1x1", pool proj]
    body:
      - concat:
          1x1: [{unit: {out: "${#1x1}"}}]
          pool: [{max_pool: {kernel: 3, stride: 1, padding: 1}}, {name: proj, unit: {out: "${pool proj}"}}]
network:
  table:
    columns: [name, type, out, "#1x1", pool proj, output]
    rows:
      - [stem, unit, $width, ~, ~, ~]
      - [m1, module, ~, 2, 3, 8x8x5]
      - {name: drop, dropout: {rate: $rate}}
      - [m2, module, ~, 4, 4, ~]
      - flatten
      - [fc, linear, 10, ~, ~, ~]
heads: {main: {classes: 10, weight: 1.0}}
train: {epochs: 10, schedule: {kind: step, every: 3, factor: 0.1}}
"""


def variant(text: str = "", *, base: str = BASE, **options: Any) -> Spec:
    return good(f"archspec: 1\nextends: base.yaml\n{text}", files={"base.yaml": base}, **options)


def refused(text: str, code: str, mark: str | None = None, **options: Any) -> Any:
    return the(f"archspec: 1\nextends: base.yaml\n{text}", code, mark, files={"base.yaml": BASE}, **options)


def edited(edit: str) -> Spec:
    return variant(f"edit:\n  - {edit}\n")


def steps(spec: Spec) -> list[tuple[str, str]]:
    return [(node.path, node.op.kind) for node in spec.graph.nodes[1:]]


def base() -> Spec:
    return good(BASE)


def shape(spec: Spec, path: str) -> tuple[int, ...]:
    return next(node.shape for node in spec.graph.nodes if node.path == path)


# extends


def test_a_variant_that_changes_nothing_is_the_same_network() -> None:
    assert outline(variant()) == outline(base())
    assert variant().name == "Base"


def test_arguments_are_laid_over_one_by_one() -> None:
    spec = variant("args: {width: 6}")
    assert (spec.args["width"], spec.args["rate"]) == (6, 0.5)
    assert shape(spec, "stem.conv")[0] == 6


def test_a_redefined_block_changes_every_use() -> None:
    block = "blocks: {unit: {args: {out: int}, body: [{conv: {out: $out, kernel: 1, bias: false}}, batch_norm, {tanh: , when: $deep}]}}"
    spec = variant(block + "\nargs: {kind: ~}")
    kinds = [node.op.kind for node in spec.graph.nodes]
    assert kinds.count("batch_norm") == kinds.count("tanh") == kinds.count("conv") == 5
    assert "relu" not in kinds


def test_a_redefined_block_is_replaced_whole() -> None:
    diagnostic = refused("blocks: {unit: {args: {out: int}}}", "AS0201", "unit")
    assert "no `body`" in diagnostic.message


def test_the_network_is_replaced_whole() -> None:
    spec = variant("network: [flatten, {unit2: }]\nblocks: {unit2: {body: [{linear: {out: 10}}]}}")
    assert steps(spec) == [("flatten", "flatten"), ("unit2.linear", "linear")]


def test_other_sections_are_laid_over_key_by_key_at_every_depth() -> None:
    spec = variant("heads: {main: {weight: 0.5}}\ntrain: {schedule: {every: 5}}")
    (head,) = spec.graph.heads
    assert (head.classes, head.weight) == (10, 0.5)
    assert spec.document.train is not None
    assert spec.document.train.epochs == 10
    assert spec.document.train.schedule is not None
    assert (spec.document.train.schedule.every, spec.document.train.schedule.factor) == (5, 0.1)


def test_a_null_removes() -> None:
    spec = variant("heads: {main: {classes: ~}}\ntrain: {schedule: ~}\nname: ~")
    assert spec.graph.heads[0].classes is None
    assert spec.document.train is not None
    assert spec.document.train.schedule is None
    assert spec.name == "spec"
    assert variant("train: ~").document.train is None


def test_a_null_over_nothing_is_no_way_to_ignore_a_typo() -> None:
    refused("blocks: {unti: ~}", "AS0204", "~")
    refused("args: {widht: ~}", "AS0204", "~")
    refused("heads: {aux: ~}", "AS0204", "~")
    refused("trian: ~", "AS0202", "trian")


def test_lists_are_replaced() -> None:
    assert variant("input: [3, 16, 16]\nnetwork: [relu]\nheads: ~").graph.input == (3, 16, 16)


def test_variants_of_variants() -> None:
    files = {
        "base.yaml": BASE,
        "middle.yaml": "archspec: 1\nextends: base.yaml\nargs: {width: 6}\nedit: [{remove: drop}]\n",
    }
    spec = good(
        "archspec: 1\nextends: middle.yaml\nargs: {rate: ~}\nedit: [{set: {m1.pool proj: 7, m1.output: 8x8x9}}]\n",
        files=files,
    )
    assert shape(spec, "stem.conv")[0] == 6
    assert shape(spec, "m1.concat")[0] == 9
    assert "drop" not in dict(steps(spec))
    assert "rate" not in spec.args


def test_an_edit_of_the_base_is_not_made_twice() -> None:
    files = {"base.yaml": BASE + "edit: [{insert_after: {stem: tanh}}]\n"}
    spec = good("archspec: 1\nextends: base.yaml\n", files=files)
    assert [kind for _, kind in steps(spec)].count("tanh") == 1


def test_errors_of_a_base_are_shown_in_its_file() -> None:
    diagnostics = read(
        "archspec: 1\nextends: base.yaml\n", files={"base.yaml": BASE.replace("kernel: 3", "kernel: 0")}
    )[1]
    assert [(d.code, d.span.source.name.rpartition("/")[2], marked(d.span)) for d in diagnostics] == [
        ("AS0205", "base.yaml", "0")
    ]


# edit


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
    assert next(node.op for node in spec.graph.nodes if node.path == "stem.conv").model_dump()["kernel"] == (3,)
    assert shape(spec, "m2.concat") == shape(base(), "m2.concat")


def test_set_changes_the_type_and_the_name_of_a_row() -> None:
    spec = edited("set: {stem.type: conv, stem.kernel: 1, stem.name: first}")
    assert steps(spec)[0] == ("first", "conv")


def test_set_empties_a_cell() -> None:
    spec = edited("set: {m1.output: ~, m1.pool proj: 9}")
    assert shape(spec, "m1.concat")[0] == 11


def test_set_changes_a_step_between_rows() -> None:
    spec = edited("set: {drop.rate: 0.9}")
    assert next(node.op for node in spec.graph.nodes if node.path == "drop").model_dump()["rate"] == 0.9
    assert ("away", "dropout") in steps(edited("set: {drop.name: away}"))
    assert "drop" not in dict(steps(edited("set: {drop.when: false}")))


def test_set_gives_a_plain_step_its_first_argument() -> None:
    text = net("- softmax\n- {name: b, batch_norm: }") + "edit: [{set: {softmax.name: s, b.eps: 0.5}}]\n"
    spec = good(text)
    assert steps(spec) == [("s", "softmax"), ("b", "batch_norm")]
    assert spec.graph.nodes[2].op.model_dump()["eps"] == 0.5


def test_set_inside_a_block_changes_every_use() -> None:
    spec = edited("set: {blocks.unit.conv.bias: false}")
    assert [node.op.model_dump()["bias"] for node in spec.graph.nodes if node.op.kind == "conv"] == [False] * 5
    spec = edited("set: {blocks.module.pool.max_pool.kernel: 5, blocks.module.pool.max_pool.padding: 2}")
    assert [node.op.model_dump()["kernel"] for node in spec.graph.nodes if node.op.kind == "max_pool"] == [(5,)] * 2


def test_set_changes_a_blocks_declarations() -> None:
    assert shape(
        edited("set: {blocks.unit.args.kernel: size = 3, kind: valid}".replace(", kind: valid", "")), "stem.conv"
    ) == (4, 8, 8)
    assert variant("edit: [{set: {blocks.unit.doc: A unit.}}]").graph.nodes[1].scope.doc == "A unit."


def test_set_changes_a_key_of_a_section() -> None:
    spec = edited("set: {heads.main.weight: 0.25, train.schedule.every: 9, name: New, input: [3, 4, 4], m1.output: ~}")
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
    assert good(text + "edit: [{insert_after: {network.init: flatten}}]\n").graph.nodes[2].op.kind == "flatten"


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
    spec = edited(edit) if "relu" not in edit else variant(f"args: {{deep: ~}}\nedit:\n  - {edit}\n")
    assert [path for path, _ in steps(spec)][: len(expected)] == expected


def test_edits_are_made_in_order() -> None:
    spec = variant(
        "edit:\n  - insert_after: {stem: {name: a, conv: {out: 5, kernel: 1}}}\n  - set: {a.out: 6}\n  - remove: m1\n  - {set: {width: 2}, remove: drop}\nargs: {rate: ~}\n"
    )
    assert shape(spec, "a")[0] == 6
    assert {path.partition(".")[0] for path, _ in steps(spec)} == {"stem", "a", "m2", "flatten", "fc"}


def test_edits_need_no_base() -> None:
    assert steps(good(net("- {name: a, relu: }") + "edit: [{insert_after: {a: flatten}}]\n")) == [
        ("a", "relu"),
        ("flatten", "flatten"),
    ]


def test_steps_inside_a_repeat_are_edited_for_every_iteration() -> None:
    text = net("- {name: down, repeat: {times: 2, as: i, body: [{name: 'c$i', conv: {out: 4, kernel: 1}}]}}")
    spec = good(text + "edit: [{set: {down.c$i.out: 6, down.times: 3}}, {insert_after: {down.c$i: relu}}]\n")
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
        ("set: {a..b: 3}", "AS0411", "a..b", "`a..b` is no address", "dots"),
        ("set: [width]", "AS0204", "[width]", "`set` takes a mapping of addresses to values, found a list", ""),
        ("sett: {width: 3}", "AS0202", "sett", "unknown edit `sett`", "did you mean `set`?"),
        ("remove: stme", "AS0411", "stme", "no step is called `stme`", "did you mean `stem`?"),
        ("remove: [stem, {a: b}]", "AS0204", "{a: b}", "`remove` takes an address or a list of them, found a mapping", ""),
        ("remove: stem.conv", "AS0411", "stem.conv", "what is inside the block `unit`", "`blocks.unit.conv`"),
        ("remove: heads.main", "AS0411", "heads.main", "`heads.main` is no step", "`set` it to `~`"),
        ("remove: stem.out", "AS0411", "stem.out", "", ""),
        ("insert_after: stem", "AS0204", "stem", "`insert_after` takes a mapping", ""),
        ("insert_after: {stem: rellu}", "AS0203", "rellu", "unknown op or block `rellu`", "`relu`"),
        ("insert_after: {blocks.module.concat.1x1: relu}", "AS0411", "blocks.module.concat.1x1", "is a body, not a step", "inside"),
        ("width", "AS0204", "width", "an edit is a mapping, found string `width`", "`set:"),
    ],
)  # fmt: skip
def test_an_edit_that_means_nothing(edit: str, code: str, mark: str, message: str, help: str) -> None:
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
    edits = "".join(f"  - replace: {{{'.'.join(['a'] * 18 * i + ['deep'])}: {{{nest}}}}}\n" for i in range(3))
    text = net("- {name: deep, relu: }") + "edit:\n" + edits
    assert found(text)[0][0] == "AS0105"


def test_too_many_edits_of_too_large_a_spec() -> None:
    text = net("".join(f"- {{name: n{i}, relu: }}\n" for i in range(2000)))
    the(text + "edit:\n" + "".join(f"  - remove: n{i}\n" for i in range(1500)), "AS0106")


# --set


@pytest.mark.parametrize(
    ("address", "value", "same"),
    [
        ("width", "6", "set: {width: 6}"), ("args.width", "6", "set: {width: 6}"), ("m2.pool proj", "9", "set: {m2.pool proj: 9}"),
        ("m2.#1x1", "9", "set: {m2.#1x1: 9}"), ('m2."#1x1"', "9", "set: {m2.#1x1: 9}"), ("stem.kernel", "3x3", "set: {stem.kernel: 3x3}"),
        ("blocks.unit.conv.bias", "false", "set: {blocks.unit.conv.bias: false}"), ("drop.when", "false", "set: {drop.when: false}"),
        ("input", "[3, 10, 10]", "set: {input: [3, 10, 10]}"), ("m1.output", "~", "set: {m1.output: ~}"), ("m1.output", "", "set: {m1.output: ~}"),
    ],
)  # fmt: skip
def test_set_on_the_command_line_is_an_edit(address: str, value: str, same: str) -> None:
    if address == "input":
        value, same = value.replace("10", "8"), same.replace("10", "8")
    assert outline(good(BASE, sets=[f"{address}={value}"])) == outline(good(BASE + f"edit: [{{{same}}}]\n"))


def test_sets_are_made_in_order() -> None:
    assert good(BASE, sets=["width=6", "width=7"]).args["width"] == 7


def test_an_equals_sign_between_quotes_belongs_to_the_address() -> None:
    text = net("- {name: 'a=b', conv: {out: 4, kernel: 1}}")
    assert good(text, sets=["'a=b'.out=5"]).graph.nodes[1].shape[0] == 5
    assert good(net("- {name: a, relu: }"), sets=["a.name='x=y'"]).graph.nodes[1].name == "x=y"


@pytest.mark.parametrize(
    ("text", "code", "mark", "message"),
    [
        ("width", "AS0002", "width", "an override reads ADDRESS=VALUE, found `width`"), ("", "AS0002", "", "found ``"), ("=3", "AS0002", "=3", ""),
        (" =3", "AS0002", " =3", ""), ("widht=3", "AS0411", "widht", "there is no `widht`"), ("stem=3", "AS0411", "stem", "`stem` is a step"),
        ("width=x", "AS0204", "x", "expected an int"), ("width=[1", "AS0101", "[", "does not end"), ("width={a: 1, a: 2}", "AS0108", "a", "twice"),
        ("width=!!int 3", "AS0104", "!!int", "unknown tag"), ("width=*x", "AS0107", "*x", "not defined"), ("width=\x00", "AS0101", "\x00", "U+0000"),
        ("width=\udc80", "AS0101", "\udc80", "U+DC80"), ("a..b=1", "AS0411", "a..b", "is no address"), ("width= # 3", "AS0204", "", "found nothing"),
        ("drop.rate=1.5", "AS0205", "1.5", "`rate` takes a number"), ("drop.rate=$x", "AS0401", "x", "undefined argument"),
        ("fc.out=${width", "AS0501", "${", "not closed"),
    ],
)  # fmt: skip
def test_an_override_that_is_none(text: str, code: str, mark: str, message: str) -> None:
    diagnostics = [d for d in read(BASE, sets=[text])[1] if d.severity == "error"]
    assert [(d.code, d.span.source.name, marked(d.span)) for d in diagnostics] == [(code, "--set", mark)]
    assert message in diagnostics[0].message


def test_every_wrong_override_is_told() -> None:
    assert found(BASE, sets=["a=1", "b=2", "a=1"]) == [("AS0411", "a"), ("AS0411", "b"), ("AS0411", "a")]


def test_the_hash_tells_variants_apart() -> None:
    hashes = [
        good(BASE).sha256,
        good(BASE, sets=["width=6"]).sha256,
        good(BASE, width=6).sha256,
        good(BASE + "\n").sha256,
        variant().sha256,
    ]
    assert len(set(hashes)) == 5
    assert good(BASE, sets=["width=6"]).sha256 == good(BASE, sets=["width=6"]).sha256
