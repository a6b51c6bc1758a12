"""Sections beside the network are compared with it: labels, preprocessing, initial values, patterns."""

from __future__ import annotations

from typing import Any

import pytest

from archspec.diagnostics import Diagnostic
from archspec.images import check_input
from archspec.ir.document import Preprocess
from tests.helpers.language import found, marked, net, read

CLASSIFIER = """
- {name: c, conv: {out: 4, kernel: 3}}
- {name: n, batch_norm: }
- global_avg_pool
- flatten
- {name: fc, linear: {out: $classes}}
"""


def classifier(**sections: str) -> str:
    input = sections.pop("input", "[3, 8, 8]")
    return net(CLASSIFIER, input=input, args="{classes: 2}", **sections)


def only(text: str, code: str, **options: Any) -> Diagnostic:
    (diagnostic,) = read(text, **options)[1]
    assert diagnostic.code == code
    return diagnostic


@pytest.mark.parametrize("labels", ["[a, b, c]", "[a]", "[]"])
def test_labels_are_as_many_as_classes(labels: str) -> None:
    diagnostic = only(classifier(labels=labels), "AS0370")
    assert (diagnostic.severity, marked(diagnostic.span)) == ("error", labels)
    assert "for 2 classes" in diagnostic.message


def test_two_labels_fit_two_classes_and_one_logit() -> None:
    assert found(classifier(labels="[a, b]")) == []
    heads = "main: {loss: binary_cross_entropy, classes: 2}"
    text = classifier(labels="[a, b]", heads=heads).replace("$classes}", "1}")
    assert "AS0370" not in {code for code, _ in found(text)}


def test_labels_left_behind_by_an_override_are_a_warning() -> None:
    """The network can be built and trained all the same."""
    spec, (diagnostic,) = read(classifier(labels="[a, b]"), sets=["classes=3"])
    assert spec is not None
    assert (diagnostic.code, diagnostic.severity) == ("AS0370", "warning")
    assert found(classifier(labels="[a, b]"), sets=["classes=3", "labels=~"]) == []
    stated = only(classifier(labels="[a, b]"), "AS0370", sets=["labels=[a, b, c]"])
    assert stated.severity == "error"


def test_equal_labels_are_a_warning_at_the_second() -> None:
    diagnostic = only(classifier(labels="[a, a]"), "AS0675")
    assert (diagnostic.severity, diagnostic.span.column) == ("warning", 7)
    assert str(diagnostic.notes[0]).startswith("first given at")


@pytest.mark.parametrize(
    ("preprocess", "input", "key"),
    [
        ("{mean: [0.5, 0.5]}", "[3, 8, 8]", "mean"),
        ("{std: [1, 1, 1, 1]}", "[3, 8, 8]", "std"),
        ("{channels: gray, mean: [0.1, 0.2, 0.3]}", "[1, 8, 8]", "mean"),
        ("{mean: [0.5]}", "[1, 8, 8]", ""),
        ("{channels: gray}", "[3, 8, 8]", "channels"),
        ("{mean: [0.5]}", "[4, 8, 8]", ""),
        ("{mean: [0.5]}", "[3, 8, 8, 8]", ""),
        ("{resize: 8x8x8}", "[3, 8, 8]", "resize"),
    ],
)
def test_preprocessing_fits_the_input(preprocess: str, input: str, key: str) -> None:
    """What `check` reports is what `run` refuses, with the same words."""
    diagnostic = only(classifier(preprocess=preprocess, input=input), "AS0371")
    assert diagnostic.severity == "error"
    assert marked(diagnostic.span) in (preprocess, preprocess.partition(f"{key}: ")[2].rstrip("}"))
    assert found(classifier(preprocess="{resize: 9, mean: [0.1, 0.2, 0.3]}")) == []
    assert found(classifier(preprocess="{channels: gray}", input="[1, 8, 8]")) == []


def test_preprocessing_without_a_misfit_is_taken_by_images() -> None:
    check_input(Preprocess(channels="gray", mean=(0.5,)), (1, 8, 8))
    check_input(Preprocess(mean=(0.5, 0.5, 0.5)), (3, 8, 8))


@pytest.mark.parametrize(
    ("recipe", "mark"),
    [
        ("{freeze: ['nothing.*']}", "'nothing.*'"),
        ("{freeze: ['c.*', 'fc']}", "'fc'"),
        ("{lr_multipliers: {'head.*': 10}}", "'head.*'"),
        ("{freeze: ['c.*'], lr_multipliers: {'c.weight': 10}}", "'c.weight'"),
        ("{lr_multipliers: {'n.running_mean': 10}}", "'n.running_mean'"),
    ],
)
def test_a_pattern_of_the_recipe_without_an_effect(recipe: str, mark: str) -> None:
    diagnostic = only(classifier(train=recipe), "AS0470")
    assert (diagnostic.severity, marked(diagnostic.span)) == ("error", mark)


def test_patterns_with_an_effect() -> None:
    recipe = "{freeze: ['c.*', 'n.running_*'], lr_multipliers: {'*': 2, 'fc.*': 10}}"
    assert found(classifier(train=recipe)) == []


def test_half_of_a_frozen_batch_norm() -> None:
    diagnostic = only(classifier(train="{freeze: [n.running_var]}"), "AS0471")
    assert "freeze `n.running_*`" in diagnostic.help


def test_inherited_sections_that_do_not_fit_are_warnings() -> None:
    base = classifier(train="{freeze: ['c.*']}", labels="[a, b]", preprocess="{mean: [0.5]}")
    top = "archspec: 1\nextends: base.yaml\ninput: [4, 8, 8]\nargs: {classes: 3}\nedit: [{set: {c.name: d}}]\n"
    spec, diagnostics = read(top, files={"base.yaml": base})
    assert spec is not None
    assert {d.code for d in diagnostics} == {"AS0370", "AS0371", "AS0470"}


@pytest.mark.parametrize(
    ("init", "mark"),
    [
        ("{linear: {running_mean: 0}}", "running_mean"),
        ("{conv_transpose: {weight: he_normal}}", "conv_transpose"),
        ("{conv: {weight: he_normal, running_var: 1}}", "running_var"),
    ],
)
def test_initial_values_for_no_tensor(init: str, mark: str) -> None:
    diagnostic = only(classifier(init=init), "AS0677")
    assert (diagnostic.severity, marked(diagnostic.span)) == ("warning", mark)
    assert found(classifier(init=init), sets=["classes=3"]) == []


def test_inherited_initial_values_may_be_for_layers_that_are_gone() -> None:
    base = classifier(init="{conv: {weight: he_normal, bias: 0.1}}")
    assert found(base) == []
    top = "archspec: 1\nextends: base.yaml\nedit: [{set: {c.bias: false}}]\n"
    assert found(top, files={"base.yaml": base}) == []


@pytest.mark.parametrize(
    ("momentum", "share"), [("0.99", "0.01"), ("0.9", "0.1"), ("0.997", "0.003")]
)
def test_the_momentum_of_keras(momentum: str, share: str) -> None:
    diagnostic = only(
        classifier().replace("batch_norm: ", f"batch_norm: {{momentum: {momentum}}}"), "AS0674"
    )
    assert diagnostic.help.endswith(f"write {share}")
    assert found(classifier().replace("batch_norm: ", f"batch_norm: {{momentum: {share}}}")) == []


@pytest.mark.parametrize(
    ("input", "fits"), [("[3, 8, 8]", True), ("[1, 8, 8]", True), ("[4, 8, 8]", False)]
)
def test_augmentation_takes_images(input: str, fits: bool) -> None:
    text = classifier(input=input, train="{augment: {flip: true}}")
    assert found(text) == ([] if fits else [("AS0472", "augment")])
    assert found(classifier(input=input, train="{augment: {}}")) == []
    spec, (diagnostic,) = read(classifier(train="{augment: {shift: 1}}"), sets=["input=[4, 8, 8]"])
    assert spec is not None
    assert (diagnostic.code, diagnostic.severity) == ("AS0472", "warning")


def test_a_recipe_that_freezes_everything() -> None:
    assert found(classifier(train="{freeze: ['*']}")) == [("AS0473", "['*']")]
    parts = "{freeze: ['c.*', 'n.*', 'fc.*']}"
    assert found(classifier(train=parts)) == [("AS0473", parts[len("{freeze: ") : -1])]
    assert found(classifier(train="{freeze: ['c.*', 'n.*', 'fc.weight']}")) == []


@pytest.mark.parametrize(
    ("recipe", "mark"),
    [
        ("{batch: 1}", "1"),
        ("{batch: 4, accumulate: 4}", "4"),
        ("{batch: 5, accumulate: 3}", "5"),
        ("{batch: 4, accumulate: 2}", ""),
        ("{batch: 1, freeze: ['n.*']}", ""),
    ],
)
def test_batches_of_one_sample(recipe: str, mark: str) -> None:
    network = "- {name: n, batch_norm: }\n- {name: fc, linear: {out: 2}}"
    vector = net(network, input="[4]", train=recipe)
    assert found(vector) == ([("AS0474", mark)] if mark else [])
    assert found(classifier(train="{batch: 1}")) == []
