from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from archspec.ir.graph import Graph, Head
from archspec.ir.op import EvalContext, Op
from archspec.reference import evaluate
from tests.helpers.graphs import Builder
from tests.helpers.ops import assert_same, batch


def parameters(graph: Graph) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        name: np.abs(rng.normal(size=param.shape)).astype(np.float32)
        for name, _, param in graph.parameters()
    }


def small() -> Graph:
    """A convolution with batch norm, two branches, a classifier; a train-only head on the first activation."""
    b = Builder(3, 8, 8)
    stem = b.scope("stem")
    b.add("conv", "conv", out=4, kernel=3, padding="symmetric", bias=False, scope=stem)
    b.add("bn", "batch_norm", scope=stem)
    relu = b.add("relu", "relu")
    left = b.add("left", "conv", relu, out=2, kernel=1)
    right = b.add("right", "max_pool", relu, kernel=3, stride=1, padding=1)
    b.add("merge", "concat", left, right)
    b.add("pool", "global_avg_pool")
    b.add("flatten", "flatten")
    main = b.add("classifier", "linear", out=5)
    b.add("aux.pool", "global_avg_pool", relu)
    b.add("aux.flatten", "flatten")
    aux = b.add("aux.classifier", "linear", out=5)
    return b.graph(Head("main", main), Head("aux", aux, train_only=True))


def by_torch(
    p: Mapping[str, Any], x: Any, train: bool
) -> tuple[dict[str, torch.Tensor], nn.BatchNorm2d]:
    t = {name: torch.from_numpy(value).double() for name, value in p.items()}
    bn = nn.BatchNorm2d(4).double().train(train)
    bn.load_state_dict(
        {role: t[f"stem.bn.{role}"] for role in ("weight", "bias", "running_mean", "running_var")},
        strict=False,
    )
    y = F.relu(bn(F.conv2d(torch.from_numpy(x), t["stem.conv.weight"], padding=1)))
    left = F.conv2d(y, t["left.weight"], t["left.bias"])
    merged = torch.cat([left, F.max_pool2d(y, 3, 1, 1)], 1).mean((2, 3))
    outputs = {"main": F.linear(merged, t["classifier.weight"], t["classifier.bias"])}
    if train:
        outputs["aux"] = F.linear(
            y.mean((2, 3)), t["aux.classifier.weight"], t["aux.classifier.bias"]
        )
    return outputs, bn


@pytest.mark.parametrize("train", [False, True])
def test_a_network_is_torchs_in_both_modes(train: bool) -> None:
    graph = small()
    params, x = parameters(graph), batch(2, 3, 8, 8)
    result = evaluate(graph, params, x, EvalContext(train=train))
    expected, bn = by_torch(params, x, train)
    assert set(result.outputs) == set(expected)
    for name, value in expected.items():
        assert_same(result.outputs[name], value)
    assert set(result.running_stats) == (
        {"stem.bn.running_mean", "stem.bn.running_var"} if train else set()
    )
    for name, value in result.running_stats.items():
        assert_same(value, bn.get_buffer(name.removeprefix("stem.bn.")))


def test_activations_come_by_path_in_execution_order_and_only_where_asked_for() -> None:
    graph = small()
    params, x = parameters(graph), batch(2, 3, 8, 8)
    assert evaluate(graph, params, x).activations == {}
    kept = evaluate(graph, params, x, return_activations=True).activations
    assert list(kept) == [node.path for node in graph.nodes if not node.path.startswith("aux")]
    assert all(
        kept[node.path].shape == (2, *node.shape) for node in graph.nodes if node.path in kept
    )
    assert_same(kept["merge"], np.concatenate([kept["left"], kept["right"]], axis=1))


class Probe(Op):
    """An identity that notes which of the values that probes were given are still alive."""

    kind = "probe"
    family = "probe"

    def reference(
        self, inputs: Sequence[Any], params: Mapping[str, Any], context: EvalContext
    ) -> Any:
        SEEN.append(weakref.ref(inputs[0]))
        ALIVE.append(sum(ref() is not None for ref in SEEN))
        return inputs[0] + 1


SEEN: list[weakref.ref[Any]] = []
ALIVE: list[int] = []


@pytest.mark.parametrize(("keep", "alive"), [(False, [1, 1, 1, 1]), (True, [1, 2, 3, 4])])
def test_values_are_let_go_after_their_last_use(keep: bool, alive: list[int]) -> None:
    SEEN.clear()
    ALIVE.clear()
    b = Builder(3)
    for i in range(4):
        b.add(f"p{i}", Probe())
    x = batch(2, 3).astype(np.float32)  # the runner's own float64 copy is what the first probe sees
    assert_same(
        evaluate(b.graph(), {}, x, return_activations=keep).outputs["main"], x.astype(float) + 4
    )
    assert alive == ALIVE


def test_a_value_that_is_read_twice_or_is_itself_an_output_lives_on() -> None:
    b = Builder(3)
    first = b.add("first", "relu")
    b.add("twice", "add", first, first)
    last = b.add("last", "add", first, 0)
    graph = b.graph(Head("main", last), Head("first", first), Head("twice", 2), Head("input", 0))
    x = batch(2, 3)
    outputs = evaluate(graph, {}, x).outputs
    relu = np.maximum(x, 0)
    for name, value in {"main": relu + x, "first": relu, "twice": 2 * relu, "input": x}.items():
        assert_same(outputs[name], value)


def test_only_what_the_heads_need_is_computed() -> None:
    b = Builder(3)
    b.add("needed", "relu")
    b.add("not needed", "linear", out=4)
    graph = b.graph(Head("main", 1), Head("aux", 2, train_only=True))
    assert set(evaluate(graph, {}, batch(2, 3)).outputs) == {
        "main"
    }  # without the tensors of the other
    with pytest.raises(ValueError, match=r"not needed\.weight"):
        evaluate(graph, {}, batch(2, 3), EvalContext(train=True))


def test_the_mode_stays_as_it_was() -> None:
    mode = EvalContext(train=True)
    graph = small()
    assert evaluate(graph, parameters(graph), batch(2, 3, 8, 8), mode).running_stats
    assert mode.running_stats == {}


def test_dropout_draws_another_mask_for_each_layer() -> None:
    b = Builder(1000)
    b.add("a", "dropout", 0, rate=0.5)
    b.add("b", "dropout", 0, rate=0.5)
    graph = b.graph(Head("a", 1), Head("b", 2))
    x = np.ones((1, 1000))
    outputs = evaluate(graph, {}, x, EvalContext(train=True, rng=np.random.default_rng(0))).outputs
    assert 300 < (outputs["a"] != outputs["b"]).sum() < 700
    again = evaluate(graph, {}, x, EvalContext(train=True, rng=np.random.default_rng(0))).outputs
    assert (again["a"] == outputs["a"]).all()
    assert_same(evaluate(graph, {}, x, EvalContext(train=True, dropout=False)).outputs["a"], x)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8), (2, 1, 8, 8), ()])
def test_an_input_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    graph = small()
    with pytest.raises(ValueError, match="3x8x8"):
        evaluate(graph, parameters(graph), np.zeros(shape))


def test_a_tensor_that_is_missing_or_does_not_fit_is_named() -> None:
    graph = small()
    params = parameters(graph)
    with pytest.raises(ValueError, match=r"left\.bias.*2, found 3"):
        evaluate(graph, params | {"left.bias": np.zeros(3)}, batch(2, 3, 8, 8))
    del params["left.bias"]
    with pytest.raises(ValueError, match=r"left\.bias.*2, found nothing"):
        evaluate(graph, params, batch(2, 3, 8, 8))
