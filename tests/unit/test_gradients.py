"""Derivatives of whole graphs, and the reference's session: against differences, torch's autograd and its optimizer."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import archspec
from archspec.backend import load as load_backend
from archspec.backend.session import OutputCotangents, Session, SessionState, SgdConfig
from archspec.compiler import write_build
from archspec.conformance.compare import compare, compare_all
from archspec.conformance.ops import spread
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.equivalence.inputs import random_weights
from archspec.frontend.files import shipped_folder
from archspec.ir.graph import Graph, Head
from archspec.ir.op import EvalContext, Op
from archspec.reference import ReferenceSession, evaluate, gradients
from archspec.weights.checkpoint import load_tensors as load_weights
from archspec.weights.weight_source import WeightSource
from tests.helpers.derivative import assert_derivative, shares
from tests.helpers.effort import examples
from tests.helpers.graphs import Builder
from tests.helpers.ops import assert_same, batch
from tests.helpers.sensitivity import sensitivity
from tests.helpers.specs import checked

SPECS = sorted(path.stem for path in shipped_folder().glob("*.yaml"))


@examples(40)
@given(specs(), st.integers(0, 2**32 - 1), st.booleans())
def test_of_random_specs_they_are_the_slopes_of_the_outputs(
    drawn: GeneratedSpec, seed: int, train: bool
) -> None:
    graph = checked(drawn.text).graph
    params, x, mode = (
        random_weights(graph, seed),
        spread((3, *drawn.input), seed),
        EvalContext(train=train, dropout=False),
    )
    outputs = lambda x: evaluate(graph, params, x, mode).outputs
    with np.errstate(over="ignore", invalid="ignore"):
        expected = outputs(x)
        assume(all(np.isfinite(y).all() for y in expected.values()))
        assume(sensitivity(outputs, x, expected, 1e-12) < 1e-6)
    rng = np.random.default_rng(seed)
    given = shares(expected, rng)
    found = gradients(graph, params, x, lambda _: given, mode)
    compare_all(found.outputs, expected, bound=0, what="outputs")
    # On a kink the derivative is that of one side, and differences give the mean of both.
    moved = x + 1e-9 * rng.uniform(-1, 1, x.shape)
    beside = gradients(graph, params, moved, lambda _: given, mode)
    pairs = [(found.input, beside.input)]
    pairs += [(gradient, beside.tensors[name]) for name, gradient in found.tensors.items()]
    assume(all(np.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in pairs))
    size = sum(float(np.abs(y * given[head]).sum()) for head, y in expected.items())

    def value(name: str) -> Callable[[Any], float]:
        def at(moved: Any) -> float:
            tensors = {**params, "": x, name: moved}
            ends = evaluate(graph, tensors, tensors[""], mode).outputs
            return sum(float((y * given[head]).sum()) for head, y in ends.items())

        return at

    assert set(found.tensors) == {name for name, _, param in graph.parameters() if param.trainable}
    for name, gradient in {"": found.input, **found.tensors}.items():
        at = params.get(name, x)
        assert_derivative(
            gradient, value(name), at, rng, size=size, steps=(1e-5, 1e-4), what=f"d/d{name}"
        )


def two_heads() -> Graph:
    """The input twice in one sum, a value that three read, two heads on one node, and a train-only one with weights."""
    b = Builder(4)
    double = b.add("double", "add", 0, 0)
    first = b.add("first", "linear", double, out=4)
    gate = b.add("gate", "multiply", first, first, double)
    aux = b.add("aux", "linear", first, out=2)
    return b.graph(Head("main", gate), Head("same", gate), Head("aux", aux, train_only=True))


@pytest.mark.parametrize("train", [False, True])
def test_what_is_read_twice_or_given_twice_adds_up(train: bool) -> None:
    graph, x = two_heads(), batch(3, 4)
    params = random_weights(graph, 0)
    t = {
        name: torch.from_numpy(value).requires_grad_() for name, value in {**params, "x": x}.items()
    }
    first = torch.nn.functional.linear(2 * t["x"], t["first.weight"], t["first.bias"])
    gate = first * first * 2 * t["x"]
    aux = torch.nn.functional.linear(first, t["aux.weight"], t["aux.bias"])
    loss = (gate**2).sum() / 2 + 3 * gate.sum() + (aux.exp().sum() if train else 0)
    loss.backward()

    def pull(outputs: Mapping[str, Any]) -> dict[str, Any]:
        assert set(outputs) == ({"main", "same", "aux"} if train else {"main", "same"})
        derivatives = {"main": outputs["main"], "same": np.full_like(outputs["same"], 3)}
        return derivatives | ({"aux": np.exp(outputs["aux"])} if train else {})

    found = gradients(graph, params, x, pull, EvalContext(train=train, dropout=False))
    expected = {
        name: tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)
        for name, tensor in t.items()
    }
    assert (found.tensors["aux.weight"] != 0).all() == train
    for name, gradient in {**found.tensors, "x": found.input}.items():
        assert_same(gradient, expected[name])


def test_what_the_loss_does_not_depend_on_has_zeros() -> None:
    graph, x = two_heads(), batch(3, 4)
    found = gradients(graph, random_weights(graph, 0), x, lambda _: {}, EvalContext(train=True))
    assert found.input.shape == x.shape
    assert not found.input.any()
    assert {name: g.any() for name, g in found.tensors.items()} == dict.fromkeys(
        found.tensors, False
    )
    assert {name: g.shape for name, g in found.tensors.items()} == {
        n: p.shape for n, _, p in graph.parameters()
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"aux": np.ones((3, 2))}, "'main', 'same'"),
        ({"main": np.ones(4)}, r"'main' is \[3, 4\], found \[4\]"),
    ],
)
def test_a_derivative_that_fits_no_head_is_refused(given: dict[str, Any], message: str) -> None:
    graph = two_heads()
    with pytest.raises(ValueError, match=message.replace("'", ".")):
        gradients(graph, random_weights(graph, 0), batch(3, 4), lambda _: given)


def test_dropout_that_drops_is_refused() -> None:
    b = Builder(4)
    b.add("dropout", "dropout", rate=0.5)
    with pytest.raises(ValueError, match="keeps no mask"):
        gradients(
            b.graph(), {}, batch(2, 4), dict, EvalContext(train=True, rng=np.random.default_rng(0))
        )


class Probe(Op):
    """An identity that notes how many of the values that probes gave are still alive on the way back."""

    kind = "probe"
    family = "probe"

    def reference(
        self, inputs: Sequence[Any], params: Mapping[str, Any], context: EvalContext
    ) -> Any:
        y = inputs[0] + 1
        SEEN.append(weakref.ref(y))
        return y

    def vjp(
        self, inputs: Sequence[Any], params: Mapping[str, Any], context: EvalContext, cotangent: Any
    ) -> Any:
        ALIVE.append(sum(ref() is not None for ref in SEEN))
        return (cotangent + 0,), {}


SEEN: list[weakref.ref[Any]] = []
ALIVE: list[int] = []


def test_values_are_let_go_on_the_way_back() -> None:
    SEEN.clear()
    ALIVE.clear()
    b = Builder(3)
    for i in range(4):
        b.add(f"p{i}", Probe())
    gradients(b.graph(), {}, batch(2, 3), lambda outputs: {"main": outputs["main"] + 0})
    assert ALIVE == [
        4,
        3,
        2,
        1,
    ]  # the output is the caller's; of the others those before the op that is differentiated


def opened(name: str, folder: Path) -> tuple[Graph, ReferenceSession, Session]:
    """A shipped spec with the same weights by the reference and in torch."""
    spec, backend = archspec.load(name), load_backend("torch")
    built = write_build(spec, backend, folder / name, weights=WeightSource(seed=1))
    tensors = load_weights(built / "weights.safetensors", spec.graph)
    return (
        spec.graph,
        ReferenceSession(spec.graph, tensors),
        backend.open(built, spec.graph, "float64"),
    )


def squares(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Half the sum of squares of each head's output, with another weight for each."""
    return {name: (i + 1) * y for i, (name, y) in enumerate(sorted(outputs.items()))}


@pytest.mark.parametrize("name", SPECS)
def test_of_every_shipped_spec_they_are_torchs(name: str, tmp_path: Path) -> None:
    macs = archspec.stats(archspec.load(name)).macs
    if macs > 3e9 and settings().max_examples <= 100:
        pytest.skip("too large for each day: the profile `deep` runs it")
    graph, ours, theirs = opened(name, tmp_path)
    x = np.random.default_rng(0).standard_normal((2, *graph.input))
    for train in (True, False) if macs < 1e8 else (True,):
        found, expected = (
            ours.gradients(x, squares, train=train),
            theirs.gradients(x, squares, train=train),
        )
        compare_all(found.outputs, expected.outputs, bound=1e-9, what=f"{name}, outputs")
        compare(found.input, expected.input, bound=1e-7, what=f"{name}, input")
        for tensor, gradient in expected.tensors.items():
            # A bias before batch norm has no effect: its derivative is what rounding leaves of nothing.
            scale = max(
                float(np.abs(gradient).max()),
                1e-6 * max(np.abs(g).max() for g in expected.tensors.values()),
            )
            compare(
                found.tensors[tensor], gradient, bound=1e-7, scale=scale, what=f"{name}, {tensor}"
            )
        assert set(found.tensors) == set(expected.tensors)


OPTIMIZERS = [
    SgdConfig(learning_rate=0.1),
    SgdConfig(learning_rate=0.05, weight_decay=0.1),
    SgdConfig(learning_rate=0.05, momentum=0.9),
    SgdConfig(learning_rate=0.05, momentum=0.5, weight_decay=0.01),
    SgdConfig(learning_rate=0.02, momentum=0.9, nesterov=True, weight_decay=0.05),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_steps_of_sgd_are_those_of_torchs_optimizer(optimizer: SgdConfig) -> None:
    rng = np.random.default_rng(0)
    tensors: Mapping[str, Any] = {
        "a": rng.normal(size=(3, 2)),
        "b": rng.normal(size=4),
        "moving": rng.normal(size=2),
    }
    slots: Mapping[str, Any] = {}
    theirs = {
        name: torch.nn.Parameter(torch.from_numpy(tensors[name].copy())) for name in ("a", "b")
    }
    torchs = torch.optim.SGD(
        theirs.values(),
        lr=optimizer.learning_rate,
        momentum=optimizer.momentum,
        nesterov=optimizer.nesterov,
        weight_decay=optimizer.weight_decay,
    )
    before = {name: value.copy() for name, value in tensors.items()}
    kept = tensors
    for _ in range(5):
        given = {name: rng.normal(size=value.shape) for name, value in theirs.items()}
        for name, gradient in given.items():
            theirs[name].grad = torch.from_numpy(gradient.copy())
        torchs.step()
        tensors, slots = optimizer.apply(tensors, given, slots)
        for name, value in theirs.items():
            assert_same(tensors[name], value)
            if optimizer.momentum:
                assert_same(slots[f"{name}@momentum"], torchs.state[value]["momentum_buffer"])
    assert set(slots) == ({"a@momentum", "b@momentum"} if optimizer.momentum else set())
    assert tensors["moving"] is kept["moving"]
    compare_all(kept, before, bound=0)


def normal() -> tuple[Graph, dict[str, Any]]:
    """A small network with moving statistics, and tensors for it."""
    b = Builder(2, 5)
    b.add("conv", "conv", out=3, kernel=3)
    b.add("norm", "batch_norm", momentum=0.25)
    b.add("relu", "relu")
    b.add("flatten", "flatten")
    b.add("dropout", "dropout", rate=0.5)
    b.add("classifier", "linear", out=2)
    graph = b.graph()
    return graph, random_weights(graph, 0)


def test_train_mode_moves_the_sessions_own_statistics() -> None:
    graph, tensors = normal()
    session, x = ReferenceSession(graph, tensors), batch(4, 2, 5)
    assert session.forward(x).running_stats == {}
    compare_all(session.state().tensors, tensors, bound=0)
    first = session.forward(x, train=True, return_activations=True)
    assert list(first.activations) == [node.path for node in graph.nodes]
    y = first.activations["conv"]
    assert_same(
        first.running_stats["norm.running_mean"],
        0.75 * tensors["norm.running_mean"] + 0.25 * y.mean(axis=(0, 2)),
    )
    session.gradients(x, squares)
    session.gradients(x, squares, train=False)
    moved = session.state().tensors
    mean = 0.75 * first.running_stats["norm.running_mean"] + 0.25 * y.mean(axis=(0, 2))
    compare_all(
        moved,
        {**tensors, "norm.running_mean": mean, "norm.running_var": moved["norm.running_var"]},
        bound=1e-14,
    )
    assert_same(
        session.forward(x, train=True).outputs["main"], first.outputs["main"]
    )  # which are those of the batch


@pytest.mark.parametrize("optimizer", OPTIMIZERS[-2:], ids=str)
def test_steps_and_a_state_that_travels_are_torchs(optimizer: SgdConfig, tmp_path: Path) -> None:
    graph, ours, theirs = opened("lenet5", tmp_path)
    batches = [np.random.default_rng(i).standard_normal((2, *graph.input)) for i in range(4)]
    pull: OutputCotangents = lambda outputs: {"main": 0.1 * outputs["main"]}
    for session in (ours, theirs):
        for x in batches[:2]:
            session.step(x, pull, optimizer)
    _assert_same_state(ours.state(), theirs.state())
    middle = ours.state()
    fresh = ReferenceSession(graph, random_weights(graph, 5))
    fresh.restore(middle)
    for session in (ours, theirs, fresh):
        for x in batches[2:]:
            session.step(x, pull, optimizer)
    _assert_same_state(ours.state(), theirs.state())
    compare_all(fresh.state().tensors, ours.state().tensors, bound=0)
    ours.restore(SessionState(middle.tensors))
    assert ours.state().slots == {}


def _assert_same_state(found: SessionState, expected: SessionState) -> None:
    compare_all(found.tensors, expected.tensors, bound=1e-10, what="tensors")
    compare_all(found.slots, expected.slots, bound=1e-10, what="slots")


def test_a_state_is_a_copy_and_may_hold_a_part() -> None:
    graph, tensors = normal()
    session = ReferenceSession(
        graph, {name: value.astype(np.float32) for name, value in tensors.items()}
    )
    state = session.state()
    assert {value.dtype.name for value in state.tensors.values()} == {"float64"}
    for value in (*state.tensors.values(), *tensors.values()):
        value += 1
    compare_all(
        session.state().tensors, {name: value - 1 for name, value in tensors.items()}, bound=1e-7
    )
    session.restore(SessionState({"classifier.bias": np.array([5.0, 6.0])}))
    assert session.state().tensors["classifier.bias"].tolist() == [5, 6]
    compare(session.state().tensors["conv.bias"], tensors["conv.bias"] - 1, bound=1e-7)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"conv.weight": np.zeros((3, 2))}, "conv.weight.*3x2x3, found 3x2"),
        ({"no such tensor": np.zeros(1)}, "no such tensor"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    changed: dict[str, Any], message: str
) -> None:
    graph, tensors = normal()
    with pytest.raises(ValueError, match=message):
        ReferenceSession(graph, tensors | changed)
    session = ReferenceSession(graph, tensors)
    with pytest.raises(ValueError, match=message):
        session.restore(SessionState({"classifier.bias": np.ones(2), **changed}))
    for slot, value in (
        ("conv.bias@momentum", np.zeros(4)),
        ("no such tensor@momentum", np.zeros(3)),
        ("norm.running_mean@momentum", np.zeros(3)),
    ):
        with pytest.raises(ValueError, match=slot):
            session.restore(SessionState({"classifier.bias": np.ones(2)}, {slot: value}))
    compare_all(session.state().tensors, tensors, bound=0)
    with pytest.raises(ValueError, match=r"conv\.bias.*found nothing"):
        ReferenceSession(graph, {"conv.weight": tensors["conv.weight"]})


def test_it_has_the_face_of_a_session() -> None:
    graph, tensors = normal()
    session: Session = ReferenceSession(graph, tensors)
    assert session.forward(batch(2, 2, 5)).outputs["main"].shape == (2, 2)
