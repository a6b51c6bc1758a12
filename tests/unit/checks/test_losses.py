"""Losses and what is computed for them: an activation before, no data to train them, one class."""

from __future__ import annotations

import pytest

from tests.helpers.language import marked, net, read

MAP = "- {name: c, conv: {out: 3, kernel: 3}}"


def told(network: str, **sections: str) -> list[tuple[str, str, str]]:
    """Code, severity and marked text of each diagnostic."""
    diagnostics = read(net(network, **sections))[1]
    return [(d.code, d.severity, marked(d.span)) for d in diagnostics]


def vector(*steps: str) -> str:
    return "\n".join(["- flatten", "- {name: fc, linear: {out: 3}}", *(f"- {s}" for s in steps)])


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("cross_entropy", "softmax"),
        ("binary_cross_entropy", "sigmoid"),
        ("binary_cross_entropy", "softmax"),
        ("cross_entropy", "sigmoid"),
        ("cross_entropy", "relu"),
        ("binary_cross_entropy", "hard_sigmoid"),
        ("cross_entropy", "tanh"),
    ],
)
def test_an_activation_before_a_class_loss(loss: str, activation: str) -> None:
    heads = f"main: {{loss: {loss}}}"
    assert told(vector(activation), heads=heads) == [("AS0673", "warning", activation)]
    assert told(vector(activation), heads="main: {loss: mse}")[0][0] == "AS0670"
    assert told(vector(activation), heads="main: {loss: none}") == []
    assert told(vector(), heads=heads) == []


def test_layers_between_the_activation_and_the_loss_do_not_hide_it() -> None:
    steps = vector("softmax", "{dropout: {rate: 0.5}}", "{reshape: {to: [3]}}", "identity")
    assert told(steps, heads="main: {classes: 3}") == [("AS0673", "warning", "softmax")]


def test_without_a_word_on_losses_only_a_softmax_is_surely_a_mistake() -> None:
    assert told(vector("softmax")) == [("AS0673", "warning", "softmax")]
    assert told(vector("relu")) == []
    recipe = "{learning_rate: 0.1, epochs: 1, batch: 8}"
    assert told(vector("relu"), train=recipe) == [("AS0673", "warning", "relu")]


def test_an_activation_inside_a_head_of_its_own() -> None:
    side = "side: {body: [flatten, {linear: {out: 3}}, softmax]}"
    network = "- {name: a, relu: , aux: early}\n" + vector()
    heads = "main: {classes: 3}\nearly: {block: side, only: train}"
    assert told(network, blocks=side, heads=heads) == [("AS0673", "warning", "softmax")]


def test_softmax_elsewhere_is_fine() -> None:
    gate = "- {name: g, softmax: }\n- {name: m, from: [g, input], multiply: }\n" + vector()
    assert told(gate, heads="main: {classes: 3}") == []


@pytest.mark.parametrize(
    ("network", "loss", "mark"),
    [(vector(), "mse", "mse"), (MAP, "cross_entropy", "cross_entropy"), (MAP, "mse", "mse")],
)
def test_a_loss_that_no_data_can_train(network: str, loss: str, mark: str) -> None:
    heads = f"main: {{loss: {loss}}}"
    recipe = "{learning_rate: 0.1, epochs: 1, batch: 8}"
    assert told(network, heads=heads) == [("AS0670", "note", mark)]
    assert told(network, heads=heads, train=recipe) == [("AS0670", "warning", mark)]


def test_a_recipe_without_a_loss() -> None:
    recipe = "{learning_rate: 0.1, epochs: 1, batch: 8}"
    told_of = told(vector(), heads="main: {loss: none}", train=recipe)
    assert told_of == [("AS0670", "warning", "none")]


def test_a_map_without_a_word_on_training_is_fine() -> None:
    assert told(MAP) == []
    assert told(MAP, heads="main: {loss: none}") == []


def test_a_map_of_one_position_lacks_a_flatten() -> None:
    text = net(MAP + "\n- global_avg_pool", heads="main: {classes: 3}")
    (diagnostic,) = read(text)[1]
    assert (diagnostic.code, diagnostic.help) == ("AS0670", "end it with `flatten`")


def test_a_cross_entropy_over_one_class() -> None:
    one = vector().replace("out: 3", "out: 1")
    assert told(one, heads="main: {loss: cross_entropy}") == [
        ("AS0678", "warning", "cross_entropy")
    ]
    assert told(one) == []
    assert told(one, heads="main: {loss: binary_cross_entropy, classes: 2}") == []
