"""Whole emitted models: what the checker and the engine say of them, what they compute, and what they say of themselves."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archspec
from archspec.compiler import provenance, write_build
from archspec.conformance.compare import compare, compare_all
from archspec.conformance.ops import spread
from archspec.conformance.specs import GeneratedSpec, specs
from archspec.equivalence.inputs import random_weights
from archspec.ir.op import EvalContext
from archspec.reference import evaluate
from archspec.weights.init import initial_tensors
from archspec_onnx import tensors
from archspec_onnx.options import NEWEST, OLDEST
from tests.helpers.effort import examples
from tests.helpers.specs import checked
from tests.unit.onnx.built import ONNX, Array, accepted, built, model_of, shaped
from tests.unit.onnx.test_lowerings import agrees

SPECS = sorted((Path(__file__).parents[3] / "specs").glob("*.yaml"))

SMALL = """
archspec: 1
name: small
input: [3, 9, 9]
blocks:
  unit:
    doc: A convolution, normalised.
    args: {out: int, act: str}
    body:
      - {name: conv, conv: {out: $out, kernel: 3, padding: same, stride: 2}}
      - {name: bn, batch_norm: {momentum: 0.25}}
      - {name: act, gelu: {approximate: $act}}
  side:
    body: [flatten, {name: fc, linear: {out: 2}}]
network:
  - {name: one, unit: {out: 4, act: none}}
  - {name: two, unit: {out: 4, act: tanh}}
  - {name: three, unit: {out: 4, act: tanh}}
  - {name: scale, resize: {size: 5, mode: linear, coordinates: half_pixel}}
  - {name: far, resize: {size: 7, mode: nearest, coordinates: half_pixel}}
  - {name: norm, group_norm: {groups: 2}}
  - {name: pool, adaptive_avg_pool: {size: 2}}
  - {name: side, from: two, global_max_pool: }
  - {name: join, from: [pool, side], add: }
  - flatten
  - {name: drop, dropout: {rate: 0.5}}
  - {name: out, linear: {out: 5}}
heads: {aux: {from: three, block: side, only: train, classes: 2}}
"""


def header(text: str, data: int = 0) -> bytes:
    """A safetensors file with that header and so many bytes of data."""
    return len(text).to_bytes(8, "little") + text.encode() + bytes(data)


def zeros(spec: archspec.Spec) -> dict[str, Array]:
    """Tensors that take no time to make."""
    return {name: np.zeros(param.shape, np.float32) for name, _, param in spec.graph.parameters()}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_every_shipped_spec_is_accepted(path: Path, train: bool) -> None:
    spec = archspec.load(path)
    with built(spec, zeros(spec), train=train, external=True) as folder:
        shaped(onnx.load(folder / "model.onnx", load_external_data=False))
        onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)


@examples(15)
@given(specs(), st.integers(0, 2**32 - 1), st.booleans(), st.integers(OLDEST, NEWEST))
def test_random_networks_compute_the_reference(
    drawn: GeneratedSpec, seed: int, train: bool, opset: int
) -> None:
    spec = checked(drawn.text)
    agrees(spec, random_weights(spec.graph, seed), spread((2, *drawn.input), seed), opset, train)


@pytest.mark.parametrize("opset", range(OLDEST, NEWEST + 1))
@pytest.mark.parametrize("functions", [False, True], ids=["flat", "functions"])
def test_every_opset_says_the_same_in_the_least_format_that_holds_it(
    opset: int, functions: bool
) -> None:
    spec = checked(SMALL)
    x = spread((3, 3, 9, 9), 1).astype(np.float32)
    own = random_weights(spec.graph, 0)
    model = model_of(spec, own, opset=opset, functions=functions)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == opset
    assert model.ir_version == next(row[1] for row in onnx.helper.VERSION_TABLE if row[2] == opset)
    compare(ONNX.predict(model, x), evaluate(spec.graph, own, x).outputs["main"])


def test_the_newest_opset_is_the_newest_that_the_engine_runs_and_draws_no_remark() -> None:
    def program(opset: int) -> str:
        return (
            "import onnx, onnxruntime; from onnx import helper as h; v = [h.make_tensor_value_info(n, 1, ['N', 2]) for n in 'xy']\n"
            "g = h.make_graph([h.make_node('Relu', ['x'], ['y'])], 'g', v[:1], v[1:])\n"
            f"m = onnx.ModelProto(ir_version=10, graph=g); m.opset_import.add(domain='', version={opset})\n"
            "onnxruntime.InferenceSession(m.SerializeToString(), providers=['CPUExecutionProvider'])"
        )

    runs = {
        o: subprocess.run([sys.executable, "-c", program(o)], capture_output=True)
        for o in (NEWEST, NEWEST + 1)
    }
    assert (runs[NEWEST].returncode, runs[NEWEST].stderr) == (0, b"")
    assert runs[NEWEST + 1].returncode != 0


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_the_batch_is_free(batch: int) -> None:
    spec = checked(SMALL)
    own = random_weights(spec.graph, 0)
    x = spread((batch, 3, 9, 9), batch).astype(np.float32)
    compare(ONNX.predict(model_of(spec, own), x), evaluate(spec.graph, own, x).outputs["main"])


# Names, and what a model says of itself.


def test_names_and_places_are_those_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SMALL.lstrip("\n"))
    spec = archspec.load(tmp_path / "net.yaml")
    model = model_of(spec)
    nodes = {node.name: node for node in model.graph.node}
    conv = nodes["two.conv"]
    assert list(conv.input) == ["one.act", "two.conv.weight", "two.conv.bias"]
    assert list(conv.output) == ["two.conv"]
    line = next(
        i for i, text in enumerate(SMALL.strip("\n").splitlines(), 1) if "name: conv" in text
    )
    assert conv.doc_string == f"net.yaml:{line}"
    assert {entry.key: entry.value for entry in conv.metadata_props} == {
        "block": "unit",
        "instance": "two",
    }
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["main"]
    assert list(nodes["out"].output) == ["main"]
    assert {t.name for t in model.graph.initializer} == {
        n for n, _, _ in spec.graph.parameters() if not n.startswith("aux")
    }
    assert (model.producer_name, model.producer_version) == ("archspec", archspec.__version__)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said == {"spec": "net.yaml", "sha256": spec.sha256, "mode": "eval"}
    assert model.graph.name == "small"
    assert str(tmp_path) not in str(model)


def test_older_formats_have_no_scopes_on_nodes() -> None:
    assert not any(node.metadata_props for node in model_of(checked(SMALL), opset=20).graph.node)


def test_a_graph_for_training_has_every_head_and_what_moves() -> None:
    model = model_of(checked(SMALL), train=True)
    assert [v.name for v in model.graph.input] == ["input", "dropout"]
    outputs = [v.name for v in model.graph.output]
    assert outputs[:2] == ["main", "aux"]
    assert outputs[2:4] == ["one.bn.running_mean.updated", "one.bn.running_var.updated"]
    assert len(outputs) == 8


def test_dropout_drops_unless_it_is_switched_off() -> None:
    import onnxruntime

    spec = checked(
        "archspec: 1\ninput: [1000]\nnetwork: [{name: dropout, dropout: {rate: 0.25}}]\n"
    )
    model = model_of(spec, train=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = np.ones((4, 1000), np.float32)
    (dropped,) = session.run(None, {"input": x})
    assert set(np.unique(np.asarray(dropped)).round(5)) == {0.0, np.float32(1 / 0.75).round(5)}
    assert 0.2 < float((np.asarray(dropped) == 0).mean()) < 0.3
    (kept,) = session.run(None, {"input": x, "dropout": np.array(False)})
    assert (np.asarray(kept) == x).all()
    assert (ONNX.predict(model, x) == x).all()


def test_names_that_meet_are_told_apart() -> None:
    text = (
        "archspec: 1\ninput: [4]\nnetwork:\n  - {name: main, relu: }\n  - {name: dropout, dropout: {rate: 0.5}}\n"
        "  - {name: last, tanh: }\nheads: {other: {from: last}, first: {from: main}}\n"
    )
    spec = checked(text)
    x = spread((2, 4), 0).astype(np.float32)
    for train in (False, True):
        with built(spec, {}, train=train) as folder:
            accepted(ONNX.load(folder))
            found = ONNX.open(folder, spec.graph, "float32").forward(
                x, train=train, return_activations=True
            )
        expected = evaluate(
            spec.graph, {}, x, EvalContext(train=train, dropout=False), return_activations=True
        )
        compare_all(found.outputs, expected.outputs)
        compare_all(found.activations, expected.activations)
    assert {v.name for v in model_of(spec, {}).graph.output} == {"main", "other", "first"}


def test_a_network_that_does_nothing_copies_its_input() -> None:
    spec = checked("archspec: 1\ninput: [4]\nnetwork: [{name: same, identity: }]\n")
    x = spread((2, 4), 0).astype(np.float32)
    model = model_of(spec, {})
    accepted(model)
    assert (ONNX.predict(model, x) == x).all()


@pytest.mark.parametrize("seed", range(12))
def test_strange_names_are_names_and_nothing_else(seed: int, tmp_path: Path) -> None:
    from archspec.backend import Provenance
    from archspec_onnx.names import GraphNames
    from tests.unit.onnx.built import write_tensors
    from tests.unit.torch.test_hostile import STRANGE, network

    graph = network(random.Random(seed))
    rng = np.random.default_rng(seed)
    own = {name: rng.random(param.shape) + 0.5 for name, _, param in graph.parameters()}
    write_tensors(tmp_path / "weights.safetensors", own)
    title, spec, digest, summary, version = (random.Random(seed).choice(STRANGE) for _ in range(5))
    said = Provenance(title=title, spec=spec, sha256=digest, summary=summary, version=version)
    x = np.linspace(-1, 1, 3 * 72).reshape(3, 2, 6, 6)
    for functions in (False, True):
        files = ONNX.emit(graph, said, tmp_path / "weights.safetensors", functions=functions)
        (tmp_path / "model.onnx").write_bytes(files["model.onnx"])
        model = ONNX.load(tmp_path)
        onnx.checker.check_model(model, full_check=True)
        named = [
            *model.graph.node,
            *model.graph.initializer,
            *(node for f in model.functions for node in f.node),
        ]
        assert all(part.name and part.name.isprintable() for part in named)
        assert len({node.name for node in model.graph.node}) == len(model.graph.node)
        compare(ONNX.predict(model, x), evaluate(graph, own, x).outputs[graph.heads[0].name])
    assert len(set(GraphNames(graph).tensors.values())) == len(own)


# Weights inside and beside.


def test_weights_beside_the_model_are_those_of_the_checkpoint_and_stored_once(
    tmp_path: Path,
) -> None:
    spec = archspec.load("lenet5")
    inside, beside = (
        write_build(spec, ONNX, tmp_path / name, options={"external": name == "b"}) for name in "ab"
    )
    size = sum(4 * param.size for _, _, param in spec.graph.parameters())
    assert (
        (beside / "model.onnx").stat().st_size
        < 10_000
        < size
        < (inside / "model.onnx").stat().st_size
    )
    x = spread((2, *spec.graph.input), 0).astype(np.float32)
    found = ONNX.predict(ONNX.load(inside), x)
    assert (ONNX.predict(ONNX.load(beside), x) == found).all()
    assert (ONNX.predict(beside / "model.onnx", x) == found).all()
    pointers = onnx.load(beside / "model.onnx", load_external_data=False).graph.initializer
    assert {
        entry.value for t in pointers for entry in t.external_data if entry.key == "location"
    } == {"weights.safetensors"}


def test_weights_that_protobuf_cannot_hold_stay_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archspec_onnx import model, runtime

    for module in (tensors, model, runtime):
        monkeypatch.setattr(module, "MAX_MODEL_BYTES", 100_000)
    spec = archspec.load("lenet5")
    folder = write_build(spec, ONNX, tmp_path / "out")
    assert (folder / "model.onnx").stat().st_size < 10_000
    loaded = ONNX.load(folder)
    (folder / "weights.safetensors").unlink()
    x = spread((2, *spec.graph.input), 0)
    compare(
        ONNX.predict(loaded, x),
        evaluate(spec.graph, initial_tensors(spec.graph, 0), x).outputs["main"],
    )


@pytest.mark.skipif(
    os.environ.get("ARCHSPEC_PROFILE") != "deep", reason="writes 4 GB: the profile `deep` runs it"
)
def test_over_two_gigabytes(tmp_path: Path) -> None:
    width = 23_400  # squared, times four bytes: 2.19 GB
    text = f"archspec: 1\ninput: [{width}]\ninit: {{linear: {{weight: {1 / width}, bias: 0.5}}}}\nnetwork: [{{name: wide, linear: {{out: {width}}}}}]\n"
    spec = checked(text)
    folder = write_build(spec, ONNX, tmp_path / "out")
    assert (folder / "weights.safetensors").stat().st_size > 2**31
    assert (folder / "model.onnx").stat().st_size < 10_000
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    x = np.full((1, width), 2.0, np.float32)
    for model in (folder / "model.onnx", ONNX.load(folder)):
        compare(ONNX.predict(model, x), np.full((1, width), 2.5))


def test_weights_are_asked_for(tmp_path: Path) -> None:
    spec = archspec.load("lenet5")
    with pytest.raises(ValueError, match="give the portable checkpoint"):
        ONNX.emit(spec.graph, provenance(spec))
    other = write_build(archspec.load("lenet5", classes=7), ONNX, tmp_path / "out")
    with pytest.raises(ValueError, match=re.escape("is F32 [10, 84], found F32 [7, 84]")):
        ONNX.emit(spec.graph, provenance(spec), other / "weights.safetensors")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file"),
        (b"\xff" * 30, "no safetensors file"),
        (header("[]"), "no safetensors file"),
        (header("{"), "Expecting"),
        (header("{}"), "w in weights.safetensors is F32 [2, 1], found nothing"),
        (header('{"w": 3}'), "found nothing"),
        (
            header('{"w": {"dtype": "F16", "shape": [2, 1], "data_offsets": [0, 4]}}'),
            "found F16 [2, 1]",
        ),
        (
            header('{"w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}}', data=7),
            "outside of the file",
        ),
        (
            header('{"w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 4]}}', data=8),
            "outside of the file",
        ),
        (
            header('{"w": {"dtype": "F32", "shape": [2, 1], "data_offsets": [-8, 0]}}', data=8),
            "outside of the file",
        ),
    ],
)
def test_damaged_weights_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        tensors.CheckpointTensors(path).external("w", "w", (2, 1))


def test_equal_builds_are_equal_files(tmp_path: Path) -> None:
    one, two = (write_build(archspec.load("lenet5"), ONNX, tmp_path / name) for name in "ab")
    assert (one / "model.onnx").read_bytes() == (two / "model.onnx").read_bytes()


# Functions.


def test_blocks_that_are_alike_share_a_function() -> None:
    spec = checked(SMALL)
    own = random_weights(spec.graph, 0)
    flat, folded = (
        model_of(spec, own, train=True, functions=functions) for functions in (False, True)
    )
    assert [f.name for f in folded.functions] == [
        "unit",
        "unit_2",
        "side",
    ]  # gelu exact, and by tanh
    calls = {node.name: node.op_type for node in folded.graph.node if node.domain}
    assert calls == {"one": "unit", "two": "unit_2", "three": "unit_2", "aux": "side"}
    assert folded.functions[0].doc_string == "A convolution, normalised."
    assert {"conv", "bn", "act"} <= {node.name for node in folded.functions[0].node}
    assert list(folded.functions[0].input)[:3] == ["x", "conv.weight", "conv.bias"]
    onnx.checker.check_model(folded, full_check=True)
    x = spread((2, 3, 9, 9), 0).astype(np.float32)
    assert (ONNX.predict(folded, x) == ONNX.predict(flat, x)).all()


def test_blocks_within_blocks_are_functions_within_functions() -> None:
    spec = archspec.load("googlenet")
    with built(spec, zeros(spec), functions=True, external=True) as folder:
        model = onnx.load(folder / "model.onnx", load_external_data=False)
        onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    called = {node.op_type for function in model.functions for node in function.node if node.domain}
    assert "convolution" in {name.rpartition("_")[0] or name for name in called}
    assert {node.op_type for node in model.graph.node if node.name.startswith("inception")} == {
        "inception"
    }
    assert {tensor.name for tensor in model.graph.initializer} == {
        name for name, node, _ in spec.graph.parameters() if node.index in spec.graph.inference
    }


@pytest.mark.parametrize("train", [False, True], ids=["eval", "train"])
def test_random_networks_as_functions_compute_the_same(train: bool) -> None:
    @examples(15)
    @given(specs(), st.integers(0, 2**32 - 1))
    def holds(drawn: GeneratedSpec, seed: int) -> None:
        spec = checked(drawn.text)
        own = random_weights(spec.graph, seed)
        x = spread((2, *drawn.input), seed)
        models = [
            model_of(spec, own, train=train, functions=functions) for functions in (False, True)
        ]
        onnx.checker.check_model(models[1], full_check=True)
        compare(ONNX.predict(models[1], x), ONNX.predict(models[0], x), bound=1e-6)

    holds()
