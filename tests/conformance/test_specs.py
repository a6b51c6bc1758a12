"""Random specs: check accepts them and reads what was drawn; builds of them are repeatable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.analysis.stats import stats
from archspec.backend import load as load_backend
from archspec.compiler import provenance
from archspec.conformance.ops import spread
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.equivalence.inputs import random_weights
from archspec.ir.op import EvalContext
from archspec.reference import evaluate
from tests.helpers.effort import examples
from tests.helpers.specs import checked

seeds = st.integers(0, 2**32 - 1)


@examples(50)
@given(specs())
def test_check_accepts_it_and_finds_the_layers_and_heads_that_were_drawn(
    drawn: GeneratedSpec,
) -> None:
    graph = checked(drawn.text).graph
    assert graph.input == drawn.input
    assert tuple((node.op.kind, node.shape) for node in graph.nodes[1:]) == drawn.layers
    assert {head.name: graph.nodes[head.node].shape for head in graph.heads} == drawn.outputs
    assert {head.name for head in graph.heads if head.train_only} == drawn.train_only
    assert graph.heads[0].name == "main"


@examples(30)
@given(specs(), seeds)
def test_the_shapes_and_counts_that_stats_predicts_come_out(
    drawn: GeneratedSpec, seed: int
) -> None:
    spec = checked(drawn.text)
    x = spread((2, *drawn.input), seed)
    for train in (False, True):
        predicted = stats(spec, train=train)
        came = evaluate(
            spec.graph,
            random_weights(spec.graph, seed),
            x,
            EvalContext(train=train, dropout=False),
            return_activations=True,
        ).activations
        listed = {layer.path: layer.output for layer in predicted.layers}
        assert len(listed) == len(predicted.layers)
        assert {path: y.shape[1:] for path, y in came.items() if path != "input"} == listed
    owned = {name: param.size for name, _, param in spec.graph.parameters() if param.trainable}
    by_layer = dict.fromkeys(listed, 0)
    for name, size in owned.items():
        if (path := name.rpartition(".")[0]) in by_layer:
            by_layer[path] += size
    assert {layer.path: layer.params for layer in predicted.layers} == by_layer
    assert predicted.params_with_aux == sum(by_layer.values())


@pytest.mark.parametrize("name", ["torch", "keras"])
@examples(20)
@given(drawn=specs())
def test_the_emitted_source_is_the_same_each_time_and_keeps_within_its_lines(
    name: str, drawn: GeneratedSpec
) -> None:
    spec, backend = checked(drawn.text), load_backend(name)
    source = backend.emit(spec.graph, provenance(spec))["model.py"]
    assert source == backend.emit(spec.graph, provenance(spec))["model.py"]
    lines = source.decode().splitlines()
    assert all(len(line) <= 100 or line.endswith("# noqa: E501") for line in lines)
