"""No pass changes what a network computes in the pass's mode, on random and shipped graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archspec
from archspec.conformance.compare import compare
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.ir.graph import Graph
from archspec.passes import inference
from archspec.reference import evaluate
from archspec.weights.init import initial_tensors
from tests.helpers.effort import examples
from tests.helpers.specs import checked


def assert_same_in_eval(before: Graph, after: Graph, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((2, *before.input))
    weights = initial_tensors(before, seed)
    expected = evaluate(before, weights, x).outputs
    kept = {name: weights[name] for name, _, _ in after.parameters()}
    found = evaluate(after, kept, x).outputs
    assert list(found) == list(expected)
    for head, value in expected.items():
        compare(found[head], value, bound=0, what=head)


@examples(40)
@given(specs(), st.integers(0, 2**32 - 1))
def test_inference_computes_the_same_on_random_networks(drawn: GeneratedSpec, seed: int) -> None:
    graph = checked(drawn.text).graph
    assert_same_in_eval(graph, inference.inference_graph(graph), seed)


@pytest.mark.parametrize("name", ["lenet5", "googlenet-2class"])
def test_inference_computes_the_same_on_shipped_networks(name: str) -> None:
    graph = archspec.load(name).graph
    assert_same_in_eval(graph, inference.inference_graph(graph), 0)


def test_inference_leaves_no_dropout_and_no_train_only_head() -> None:
    graph = archspec.load("googlenet").graph
    after = inference.inference_graph(graph)
    assert {node.op.kind for node in graph.nodes} - {node.op.kind for node in after.nodes} == {
        "dropout"
    }
    assert [head.name for head in after.heads] == ["main"]
    assert [node.index for node in after.nodes] == list(range(len(after.nodes)))
    assert all(i < node.index for node in after.nodes for i in node.inputs)
