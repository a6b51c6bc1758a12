"""The emitted model as a Keras user meets it: saved, exported, trained in mixed precision, compiled by XLA."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import archspec
from archspec.backend import MemoryBudget
from archspec.backend.file_tensor import FileTensor
from archspec.conformance.compare import compare
from archspec.ir.graph import Graph
from archspec.ir.op import EvalContext
from archspec.ops import OPS
from archspec.reference import evaluate
from archspec_keras import BACKEND
from tests.helpers import forked
from tests.helpers.graphs import Builder
from tests.unit.keras.sessions import ABOUT, build

Array = Any

HEADS = """input: [3, 9, 9]
args: {classes: 5}
blocks:
  unit: {args: [out], body: [{conv: {out: $out, kernel: 3, padding: 1}}, batch_norm, relu]}
  tail: {body: [global_avg_pool, flatten, {name: fc, linear: {out: $classes}}]}
network:
  - {name: stem, conv: {out: 4, kernel: 3, stride: 2, padding: 1}}
  - {name: norm, lrn: {size: 3}}
  - {name: stack, repeat: {times: 3, body: [{unit: {out: 4}}]}}
  - {name: "avg pool", avg_pool: {kernel: 3, stride: 2, padding: 1, count_include_pad: true}}
  - {name: act, gelu: {approximate: tanh}}
  - flatten
  - {name: drop, dropout: {rate: 0.5}}
  - {name: fc, linear: {out: $classes}}
heads:
  side: {block: tail, from: stack, only: train}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    (path / "net.yaml").write_text(f"archspec: 1\nname: net\n{HEADS}")
    graph = archspec.load(path / "net.yaml").graph
    rng = np.random.default_rng(0)
    weights = {
        name: rng.uniform(0.2, 0.6, p.shape).astype(np.float32) for name, _, p in graph.parameters()
    }
    return build(graph, weights, path)


@pytest.fixture(scope="module")
def graph(folder: Path) -> Graph:
    return archspec.load(folder / "net.yaml").graph


@pytest.fixture(scope="module")
def x(graph: Graph) -> Array:
    return np.random.default_rng(1).normal(size=(4, *graph.input)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(folder: Path, graph: Graph, x: Array) -> Array:
    return evaluate(graph, load_file(folder / "weights.safetensors"), x, EvalContext()).outputs[
        "main"
    ]


def module(folder: Path) -> Any:
    from archspec.codegen.runtime import import_model

    return import_model(folder)


def test_the_model_computes_the_reference(folder: Path, x: Array, expected: Array) -> None:
    compare(BACKEND.predict(BACKEND.load(folder), x), expected, bound=1e-5)


def test_layers_bear_the_specs_paths(folder: Path) -> None:
    names = [layer.name for layer in module(folder).build_model(train=True).layers]
    assert {
        "stem",
        "norm",
        "stack-0-unit-conv",
        "stack-2-unit-relu",
        "avg_pool",
        "fc",
        "side-fc",
    } <= set(names)
    assert len(set(names)) == len(names)


def test_a_repeat_is_a_loop_and_a_block_a_function(folder: Path) -> None:
    text = (folder / "model.py").read_text()
    assert '    for i in range(3):\n        stack = unit(stack, 4, name=f"stack-{i}-unit")' in text
    assert "def unit(x: KerasTensor, out: int, *, name: str) -> KerasTensor:" in text


def test_a_saved_model_is_the_same_again(
    folder: Path, x: Array, expected: Array, tmp_path: Path
) -> None:
    BACKEND.load(folder).save(tmp_path / "net.keras")
    again: Any = keras.saving.load_model(tmp_path / "net.keras")
    compare(BACKEND.predict(again, x), expected, bound=1e-5)


def test_a_saved_file_is_read_by_its_layouts(folder: Path, graph: Graph, tmp_path: Path) -> None:
    module(folder).build_model(folder / "weights.safetensors", train=True).save(
        tmp_path / "net.keras"
    )
    (form,) = BACKEND.formats
    tensors = form.read(tmp_path / "net.keras", MemoryBudget(tmp_path / "net.keras"))
    layouts = BACKEND.tensor_layout(graph)
    weights = load_file(folder / "weights.safetensors")
    assert set(tensors) == {layout.name for layout in layouts.values()}
    for name, tensor in weights.items():
        saved = tensors[layouts[name].name]
        values = saved.values if isinstance(saved, FileTensor) else saved
        assert np.array_equal(layouts[name].to_portable(tensor.shape, values), tensor)


def test_a_written_file_is_loaded_by_keras(
    folder: Path, graph: Graph, x: Array, expected: Array, tmp_path: Path
) -> None:
    (form,) = BACKEND.formats
    form.write(tmp_path / "net.keras", graph, ABOUT, load_file(folder / "weights.safetensors"))
    assert [path.name for path in tmp_path.iterdir()] == ["net.keras"]
    again: Any = keras.saving.load_model(tmp_path / "net.keras")
    last = np.moveaxis(x, 1, -1)
    compare(np.array(again.predict(last, verbose=0)["main"]), expected, bound=1e-5)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04."])
def test_a_damaged_file_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_bytes(content)
    with pytest.raises(ValueError, match=r"not a \.keras file"):
        BACKEND.formats[0].read(tmp_path / "net.keras", MemoryBudget())


def test_an_exported_model_is_the_same(
    folder: Path, x: Array, expected: Array, tmp_path: Path
) -> None:
    import tensorflow as tf

    BACKEND.load(folder).export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "saved"))
    compare(served.serve(tf.convert_to_tensor(np.moveaxis(x, 1, -1))).numpy(), expected, bound=1e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "float64"])
def test_fit_trains_every_head(folder: Path, x: Array, policy: str, jit: bool) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = module(folder).build_model(folder / "weights.safetensors", train=True)
    finally:
        keras.config.set_dtype_policy("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        "sgd",
        {"main": loss, "side": loss},
        loss_weights={"main": 1.0, "side": 0.3},
        jit_compile=jit,
    )
    y = np.arange(len(x)) % 5
    before = [np.array(v) for v in model.trainable_variables]
    history = model.fit(
        np.moveaxis(x, 1, -1), {"main": y, "side": y}, epochs=1, batch_size=len(x), verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()
    moved = [
        float(np.abs(np.array(v) - b).max())
        for v, b in zip(model.trainable_variables, before, strict=True)
    ]
    assert all(np.isfinite(moved))
    assert (
        sum(m > 0 for m in moved) > len(moved) - 4
    )  # a bias before batch normalisation has no gradient


def test_a_summary_counts_the_parameters(folder: Path, graph: Graph) -> None:
    lines: list[str] = []
    module(folder).build_model(train=True).summary(print_fn=lines.append)
    count = sum(p.size for _, _, p in graph.parameters())
    assert any(f"{count:,}" in line for line in lines)


def test_a_loader_tells_all_that_differs_at_once(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    del weights["stem.bias"]
    weights["fc.weight"] = weights["fc.weight"].T.copy()
    weights["other.weight"] = np.zeros(3, np.float32)
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="does not fit") as error:
        module(folder).build_model(tmp_path / "weights.safetensors")
    message = str(error.value)
    assert "stem.bias is missing" in message
    assert "other.weight is unexpected" in message
    assert "fc.weight is (36, 5), expected (5, 36)" in message


def test_heads_of_training_may_be_left_out_of_inference_alone(folder: Path, tmp_path: Path) -> None:
    weights = {
        n: t
        for n, t in load_file(folder / "weights.safetensors").items()
        if not n.startswith("side.")
    }
    save_file(weights, tmp_path / "weights.safetensors")
    module(folder).build_model(tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match=r"side\.fc\.weight is missing"):
        module(folder).build_model(tmp_path / "weights.safetensors", train=True)


@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_the_same_file_runs_on_other_engines(
    folder: Path, x: Array, expected: Array, engine: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.moveaxis(x, 1, -1))
    program = (
        "import sys, numpy as np, keras; sys.path.insert(0, sys.argv[1]); import model as m\n"
        "net = m.build_model(sys.argv[1] + '/weights.safetensors')\n"
        "x = np.load(sys.argv[2] + '/x.npy')\n"
        "np.save(sys.argv[2] + '/y.npy', net.predict(x, verbose=0))\n"
        "net.save(sys.argv[2] + '/net.keras'); again = keras.saving.load_model(sys.argv[2] + '/net.keras')\n"
        "np.save(sys.argv[2] + '/z.npy', again.predict(x, verbose=0))\n"
        "net.compile('sgd', 'mse'); net.train_on_batch(x, np.zeros((4, 5)))\n"
        "print(keras.backend.backend(), 'archspec' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(folder), str(tmp_path)]
    environment = {**os.environ, "KERAS_BACKEND": engine}
    done = forked.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == [engine, "False"]
    compare(np.load(tmp_path / "y.npy"), expected, bound=1e-5)
    compare(np.load(tmp_path / "z.npy"), expected, bound=1e-5)


def test_every_op_is_lowered() -> None:
    assert set(BACKEND.lowered) == set(OPS)
    assert not BACKEND.gaps


def test_flatten_before_a_linear_layer_keeps_the_order_of_the_spec() -> None:
    builder = Builder(2, 3, 3)
    builder.add("flatten", "flatten")
    (before,), own = _calls(builder.graph())
    assert before == "layers.Permute"
    assert own == ["layers.Flatten"]


def _calls(graph: Graph) -> tuple[list[str], list[str]]:
    tree = ast.parse(BACKEND.emit(graph, ABOUT)["model.py"])
    made = [
        ast.unparse(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    layers = [name for name in made if name.startswith("layers.")]
    return [name for name in layers if "Permute" in name], [
        name for name in layers if "Permute" not in name
    ]
