"""Overrides: `--set`, an edit on the command line."""

from __future__ import annotations

import pytest

from tests.helpers.language import found, good, marked, net, outline, read
from tests.unit.frontend.variants import BASE, variant


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
    assert outline(good(BASE, sets=[f"{address}={value}"])) == outline(
        good(BASE + f"edit: [{{{same}}}]\n")
    )


@pytest.mark.parametrize(
    ("address", "value", "section", "expected"),
    [
        ("train.epochs", "5", "train", {"epochs": 5}),
        ("train.schedule.kind", "cosine", "train", {"schedule": {"kind": "cosine"}}),
        ("preprocess.scale", "1.0", "preprocess", {"scale": 1.0}),
    ],
)
def test_a_section_with_keys_of_its_own_is_begun_where_there_is_none(
    address: str, value: str, section: str, expected: dict[str, object]
) -> None:
    stated = getattr(
        good(net("- {name: a, relu: }"), sets=[f"{address}={value}"]).document, section
    )
    assert stated.model_dump(exclude_unset=True) == expected


def test_a_step_of_that_name_comes_first() -> None:
    spec = good(net("- {name: train, conv: {out: 4, kernel: 1}}"), sets=["train.out=5"])
    assert spec.graph.nodes[1].shape[0] == 5
    assert spec.document.train is None


@pytest.mark.parametrize(
    ("text", "code", "mark"),
    [
        ("train.epochz=5", "AS0202", "train.epochz"),
        ("train=5", "AS0411", "train"),
        ("train.epochs=~", "AS0411", "train.epochs"),
        ("heads.side.weight=0.5", "AS0411", "heads.side.weight"),  # a head is more than a key
    ],
)
def test_a_section_is_not_begun_by_a_mistake(text: str, code: str, mark: str) -> None:
    assert found(net("- {name: a, relu: }"), sets=[text]) == [(code, mark)]


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
        ("width=\udc80", "AS0101", "\udc80", "U+DC80"), ("a..b=1", "AS0411", "a..b", "is not an address"), ("width= # 3", "AS0204", "", "found nothing"),
        ("drop.rate=1.5", "AS0205", "1.5", "`rate` takes a number"), ("drop.rate=$x", "AS0401", "x", "undefined argument"),
        ("fc.out=${width", "AS0501", "${", "not closed"),
    ],
)  # fmt: skip
def test_an_override_that_is_none(text: str, code: str, mark: str, message: str) -> None:
    diagnostics = [d for d in read(BASE, sets=[text])[1] if d.severity == "error"]
    assert [(d.code, d.span.source.name, marked(d.span)) for d in diagnostics] == [
        (code, "--set", mark)
    ]
    assert message in diagnostics[0].message


def test_every_wrong_override_is_told() -> None:
    assert found(BASE, sets=["a=1", "b=2", "a=1"]) == [
        ("AS0411", "a"),
        ("AS0411", "b"),
        ("AS0411", "a"),
    ]


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
