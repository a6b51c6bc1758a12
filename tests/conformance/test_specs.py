"""Random whole specs: check accepts them, means what was drawn, and torch computes what the reference computes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from archspec.analysis.stats import stats
from archspec.backend import load as load_backend
from archspec.compiler import about
from archspec.conformance.cases import sensitivity, weights
from archspec.conformance.compare import compare, compare_all
from archspec.conformance.ops import spread
from archspec.conformance.specs import Drawn, specs
from archspec.op import Run
from archspec.passes import inference
from archspec.reference import run
from tests.helpers.effort import examples
from tests.helpers.engine import Array, Engine
from tests.helpers.specs import checked

seeds = st.integers(0, 2**32 - 1)


@examples(150)
@given(specs())
def test_check_accepts_it_and_finds_the_layers_and_heads_that_were_drawn(drawn: Drawn) -> None:
    graph = checked(drawn.text).graph
    assert graph.input == drawn.input
    assert tuple((node.op.kind, node.shape) for node in graph.nodes[1:]) == drawn.layers
    assert {head.name: graph.nodes[head.node].shape for head in graph.heads} == drawn.outputs
    assert {head.name for head in graph.heads if head.train_only} == drawn.train_only
    assert graph.heads[0].name == "main"


@examples(60)
@given(specs(), seeds)
def test_the_shapes_and_counts_that_stats_predicts_come_out(drawn: Drawn, seed: int) -> None:
    spec = checked(drawn.text)
    x = spread((2, *drawn.input), seed)
    for train in (False, True):
        predicted = stats(spec, train=train)
        came = run(spec.graph, weights(spec.graph, seed), x, Run(train=train, dropout=False), keep=True).activations
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


@examples(150)
@given(specs(), seeds)
def test_torch_computes_every_head_of_it(drawn: Drawn, seed: int) -> None:
    spec = checked(drawn.text)
    engine = Engine.of(spec, weights(spec.graph, seed))
    x = spread((3, *drawn.input), seed)
    for train in (False, True):
        expected, bound = _judged(engine, x, train)
        found = engine.outputs(x, train)
        compare_all(found, expected, bound=bound, what="train" if train else "eval")
        assert {name: y.shape[1:] for name, y in found.items()} == {
            name: shape for name, shape in drawn.outputs.items() if train or name not in drawn.train_only
        }
    if updates := engine.updates(x):
        assert set(updates) <= {name for name, _, param in spec.graph.parameters() if not param.trainable}
        compare_all(engine.state(updates), updates, bound=bound, what="moving statistics")


def _judged(engine: Engine, x: Array, train: bool) -> tuple[dict[str, Array], float]:
    """What is expected, and how near the answer has to come; networks that amplify rounding are passed over."""
    with np.errstate(over="ignore", invalid="ignore"):
        expected = engine.reference(x, train)
        assume(all(np.isfinite(y).all() for y in expected.values()))
        moved = sensitivity(lambda x: engine.reference(x, train), x, expected, 1e-12)
    assume(moved < 1e-6)
    return expected, 1e-10 + 100 * moved


@examples(40)
@given(specs(), seeds, st.booleans())
def test_torch_has_the_derivatives_of_the_reference(drawn: Drawn, seed: int, train: bool) -> None:
    spec = checked(drawn.text)
    engine = Engine.of(spec, weights(spec.graph, seed))
    x = spread((3, *drawn.input), seed)
    expected, _ = _judged(engine, x, train)
    rng = np.random.default_rng(seed)
    shares: dict[str, Any] = {head: rng.uniform(-1, 1, y.shape) for head, y in expected.items()}
    size = sum(float(np.abs(expected[head] * share).sum()) for head, share in shares.items())
    for name, gradient in engine.gradients(x, shares, train).items():
        direction = rng.uniform(-1, 1, gradient.shape)
        slopes = [engine.slope(x, shares, train, name, direction, step) for step in (1e-5, 1e-4)]
        # Where two steps disagree, one of them crosses a kink of some layer inside.
        if abs(slopes[0] - slopes[1]) < 1e-7 * (abs(slopes[0]) + 0.01 * size):
            found = float((gradient * direction).sum())
            compare(found, slopes[0], bound=1e-6, scale=abs(slopes[0]) + 0.01 * size, what=f"d/d{name}")


@examples(40)
@given(specs(), seeds)
def test_the_inference_pass_and_float32_leave_the_main_output_as_it_is(drawn: Drawn, seed: int) -> None:
    spec = checked(drawn.text)
    graph = inference.run(spec.graph)
    assert not any(head.train_only for head in graph.heads)
    values = weights(spec.graph, seed)
    x = spread((3, *drawn.input), seed)
    left = {name: values[name] for name, _, _ in graph.parameters()}
    compare_all(run(graph, left, x).outputs, run(spec.graph, values, x).outputs, bound=1e-12, what="inference")


@examples(40)
@given(specs())
def test_the_emitted_source_is_the_same_each_time_and_keeps_within_its_lines(drawn: Drawn) -> None:
    spec, backend = checked(drawn.text), load_backend("torch")
    source = backend.emit(spec.graph, about(spec))["model.py"]
    assert source == backend.emit(spec.graph, about(spec))["model.py"]
    assert max(map(len, source.decode().splitlines())) <= 120
