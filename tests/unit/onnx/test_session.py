"""A build opened as a session, models run one after the other, and what is shown of one node."""

from __future__ import annotations

import gc
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

import archspec
from archspec.backend.session import SessionState, SgdConfig
from archspec.compiler import write_build
from archspec.conformance.compare import compare, compare_all
from archspec.conformance.ops import spread
from archspec.diagnostics import Failure, MissingPackage
from archspec.equivalence.inputs import random_weights
from archspec.ir.op import EvalContext
from archspec.reference import evaluate
from archspec.weights.weight_source import WeightSource
from archspec_onnx import runtime
from tests.helpers.specs import checked
from tests.unit.onnx.built import ONNX, built
from tests.unit.onnx.test_model import SMALL

SPEC = checked(SMALL)
OWN = random_weights(SPEC.graph, 0)
X = spread((4, 3, 9, 9), 0)


@pytest.mark.parametrize(
    "options", [{}, {"train": True}, {"external": True}, {"functions": True}, {"opset": 17}]
)
def test_a_build_of_any_kind_is_opened_in_both_modes(options: dict[str, bool]) -> None:
    with built(SPEC, OWN, **options) as folder:
        session = ONNX.open(folder, SPEC.graph, "float32")
        for keep in (True, False):
            found = session.forward(X, return_activations=keep)
            expected = evaluate(SPEC.graph, OWN, X, return_activations=keep)
            compare_all(found.outputs, expected.outputs)
            assert (found.activations.keys(), found.running_stats) == (
                expected.activations.keys(),
                {},
            )
        found = session.forward(X, train=True, return_activations=True)
    expected = evaluate(
        SPEC.graph, OWN, X, EvalContext(train=True, dropout=False), return_activations=True
    )
    for part in ("outputs", "activations", "running_stats"):
        compare_all(getattr(found, part), getattr(expected, part))


def test_train_mode_moves_the_statistics_that_eval_mode_uses() -> None:
    own = dict(OWN)
    with built(SPEC, OWN) as folder:
        session = ONNX.open(folder, SPEC.graph, "float32")
        for _ in range(2):
            session.forward(X, train=True)
            own |= evaluate(
                SPEC.graph, own, X, EvalContext(train=True, dropout=False)
            ).running_stats
        compare_all(session.state().tensors, own)
        compare_all(session.forward(X).outputs, evaluate(SPEC.graph, own, X).outputs)


def test_tensors_are_put_in_place_and_slots_are_carried() -> None:
    other = random_weights(SPEC.graph, 1)
    slots = {"out.weight@momentum": np.ones((5, 16))}
    with built(SPEC, OWN) as folder:
        session = ONNX.open(folder, SPEC.graph, "float32")
        session.forward(X)
        session.restore(SessionState(other, slots))
        compare_all(session.forward(X).outputs, evaluate(SPEC.graph, other, X).outputs)
        state = session.state()
        compare_all(state.tensors, other)
        assert state.slots.keys() == slots.keys()
        with pytest.raises(ValueError, match="`out.weight` is 5x16, found 5x15"):
            session.restore(SessionState({"out.weight": np.ones((5, 15))}))


def test_what_it_cannot_do_is_refused_with_a_reason() -> None:
    with built(SPEC, OWN) as folder:
        session = ONNX.open(folder, SPEC.graph, "float32")
        for refused in (
            lambda: session.gradients(X, lambda outputs: outputs),
            lambda: session.step(X, lambda outputs: outputs, SgdConfig(learning_rate=0.1)),
        ):
            with pytest.raises(
                Failure, match="ONNX Runtime computes no gradients; train with another backend"
            ):
                refused()
        with pytest.raises(Failure, match="in float32, and not in float64"):
            ONNX.open(folder, SPEC.graph, "float64")


# Models run.


def test_a_model_that_is_changed_is_run_as_it_is_now() -> None:
    with built(SPEC, OWN) as folder:
        model = ONNX.load(folder)
    first = ONNX.predict(model, X)
    for tensor in model.graph.initializer:
        if tensor.name == "out.bias":
            tensor.raw_data = (numpy_helper.to_array(tensor) + 1).tobytes()
    compare(ONNX.predict(model, X), first + 1)


def test_one_runner_is_kept_and_no_more() -> None:
    models = []
    for seed in range(3):
        with built(SPEC, random_weights(SPEC.graph, seed)) as folder:
            models.append(ONNX.load(folder))
    ONNX.predict(models[0], X)
    (kept,) = runtime._runners.values()
    gone = weakref.ref(kept)
    ONNX.predict(models[0], X)
    assert list(runtime._runners.values()) == [kept]
    del kept
    for model in models[1:]:
        ONNX.predict(model, X)
    gc.collect()
    assert gone() is None
    assert len(runtime._runners) == 1


def test_a_file_that_is_built_again_is_run_as_it_is_now(tmp_path: Path) -> None:
    spec = archspec.load("lenet5")
    x = spread((1, *spec.graph.input), 0)
    found = [
        ONNX.predict(
            write_build(spec, ONNX, tmp_path / "out", weights=WeightSource(seed=seed))
            / "model.onnx",
            x,
        )
        for seed in (0, 1)
    ]
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_a_missing_engine_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Failure, match="onnxruntime, which is not installed") as failure:
        runtime.Runner(Path("model.onnx"))
    assert isinstance(failure.value, MissingPackage)
    assert "archspec-nn[onnx]" in failure.value.help


def test_a_build_in_python_is_a_model_with_its_weights() -> None:
    model = archspec.build("lenet5", backend="onnx")
    spec = archspec.load("lenet5")
    x = spread((1, *spec.graph.input), 0)
    from archspec.weights.init import initial_tensors

    compare(
        ONNX.predict(model, x),
        evaluate(spec.graph, initial_tensors(spec.graph, 0, spec.document.init), x).outputs["main"],
    )


# One node shown.


def shown(path: str) -> str:
    (node,) = (node for node in SPEC.graph.nodes if node.path == path)
    return ONNX.explain(SPEC.graph, node)


def test_a_node_is_shown_in_the_words_of_onnx() -> None:
    text = shown("two.conv")
    assert re.fullmatch(
        r'\["?two\.conv"?\] .*Conv <.*kernel_shape.*> ?\(.*one\.act.*two\.conv\.weight.*\)', text
    ), text
    assert "strides" in text


def test_what_train_mode_does_otherwise_is_shown_too() -> None:
    eval_mode, _, train_mode = shown("two.bn").partition("\nin train mode:\n")
    assert eval_mode.count("\n") == 0
    assert "BatchNormalization" in eval_mode
    assert "ReduceMean" in train_mode
    assert shown("drop").startswith("no node: its value is that of ")
    assert "Dropout" in shown("drop")
