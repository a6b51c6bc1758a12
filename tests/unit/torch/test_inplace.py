"""ReLU in place: where it saves memory, and never where a value or a gradient would notice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from archspec.ir.op import EvalContext
from archspec.reference import evaluate
from tests.helpers.emitted import filled, run_source, source, tensors
from tests.helpers.specs import checked

HEAD = "archspec: 1\nname: net\ninput: [4, 6, 6]\n"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("[{conv: {out: 4, kernel: 1}}, relu]", [True]),
        ("[batch_norm, relu]", [True]),
        (
            "[{conv: {out: 4, kernel: 1}}, relu, relu]",
            [True, False],
        ),  # the first's gradient needs its output
        ("[sigmoid, relu]", [False]),
        ("[{max_pool: {kernel: 2}}, relu]", [False]),
        ("[relu]", [False]),  # the network's input is not ours to change
        ("[identity, relu]", [False]),
        ("[flatten, relu]", [False]),  # a view of what entered
        ("[{conv: {out: 4, kernel: 1}}, {add: {a: [], b: []}}, relu]", [True]),
        (
            "[{name: c, conv: {out: 4, kernel: 1}}, {add: {a: [relu], b: []}}]",
            [False],
        ),  # read twice
        (
            "[{name: c, aux: h, conv: {out: 4, kernel: 1}}, relu]",
            [False],
        ),  # an output of the network
    ],
)
def test_only_what_is_read_once_and_needed_no_more_is_overwritten(
    steps: str, expected: list[bool]
) -> None:
    heads = "heads: {main: {classes: 4}, h: {classes: 4}}\n" if "aux" in steps else ""
    graph = checked(HEAD + f"network: {steps}\n" + heads).graph
    model = run_source(source(graph)).build_model()
    assert [module.inplace for module in model.modules() if isinstance(module, nn.ReLU)] == expected


def test_a_block_never_overwrites_what_it_is_given() -> None:
    blocks = "blocks: {unit: {body: [relu, {conv: {out: 4, kernel: 1}}]}}\n"
    graph = checked(HEAD + blocks + "network: [{conv: {out: 4, kernel: 1}}, unit]\n").graph
    model = run_source(source(graph)).build_model()
    assert [module.inplace for module in model.modules() if isinstance(module, nn.ReLU)] == [False]


def test_gradients_through_relus_in_place_are_the_references() -> None:
    text = """blocks:
  unit:
    body:
      - {name: c, conv: {out: 4, kernel: 3, padding: 1}}
      - {name: r, relu: ~}
      - add: {a: [{conv: {out: 4, kernel: 1}}, batch_norm, {name: r2, relu: ~}], b: []}
      - {name: r3, relu: ~}
network: [unit, {name: v, unit: ~}]
"""
    graph = checked(HEAD + text).graph
    values = tensors(graph)
    rng = np.random.default_rng(5)
    x, direction, share = (
        rng.normal(size=(3, *shape)) for shape in (graph.input, graph.input, graph.nodes[-1].shape)
    )
    model = filled(graph, run_source(source(graph)), values, train=True)
    assert all(module.inplace for module in model.modules() if isinstance(module, nn.ReLU))
    entering = torch.from_numpy(x).requires_grad_()
    (model(entering) * torch.from_numpy(share)).sum().backward()
    assert entering.grad is not None

    def value(step: float) -> float:
        moved = evaluate(
            graph, values, x + step * direction, EvalContext(train=True, dropout=False)
        ).outputs["main"]
        return float((moved * share).sum())

    slope = (value(1e-6) - value(-1e-6)) / 2e-6
    assert float((entering.grad.numpy() * direction).sum()) == pytest.approx(slope, rel=1e-6)
