"""Variants: what `extends` lays over a spec, key by key, and what it replaces."""

from __future__ import annotations

from archspec.ir.recipe import Schedule
from tests.helpers.language import good, marked, outline, read
from tests.unit.frontend.variants import BASE, base, refused, shape, steps, variant


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
    assert (spec.document.train.schedule.every, spec.document.train.schedule.factor) == (5, 0.1)


def test_a_null_removes() -> None:
    spec = variant("heads: {main: {classes: ~}}\ntrain: {schedule: ~}\nname: ~")
    assert spec.graph.heads[0].classes is None
    assert spec.document.train is not None
    assert spec.document.train.schedule == Schedule()
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
        "archspec: 1\nextends: base.yaml\n",
        files={"base.yaml": BASE.replace("kernel: 3", "kernel: 0")},
    )[1]
    assert [
        (d.code, d.span.source.name.rpartition("/")[2], marked(d.span)) for d in diagnostics
    ] == [("AS0205", "base.yaml", "0")]
