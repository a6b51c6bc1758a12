"""The compiler: what it refuses, and that a refusal leaves nothing behind."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import archspec
from archspec.backend import Gap
from archspec.backend import load as load_backend
from archspec.compiler import compile_spec, provenance, write_build
from archspec.diagnostics import Failure, SpecError
from archspec.weights.weight_source import WeightSource

HEAD = "archspec: 1\nname: net\ninput: [3, 8, 8]\n"


def spec_of(tmp_path: Path, text: str) -> archspec.Spec:
    path = tmp_path / "net.yaml"
    path.write_text(HEAD + text)
    return archspec.load(path)


def test_a_petabyte_is_counted_and_refused_at_its_line(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "network:\n  - relu\n  - conv: {out: 1000000000000, kernel: 3}\n")
    assert archspec.stats(spec).params == 10**12 * 28
    with pytest.raises(SpecError) as failure:
        write_build(spec, load_backend("torch"), tmp_path / "out")
    (found,) = failure.value.diagnostics
    assert (found.code, found.span.line) == ("AS0801", 6)
    assert not (tmp_path / "out").exists()


def test_an_op_that_the_backend_lacks_is_refused_with_the_reason(tmp_path: Path) -> None:
    backend = load_backend("torch")
    poorer = replace(
        backend,
        lowered=frozenset(backend.lowered) - {"relu"},
        gaps={"relu": Gap("T01", "no rectifiers")},
    )
    spec = spec_of(tmp_path, "network:\n  - relu\n  - {conv: {out: 4, kernel: 3}}\n  - relu\n")
    with pytest.raises(
        Failure, match=r"cannot build\n  `relu` at .*net\.yaml:7:5: no rectifiers \(T01\)$"
    ):
        compile_spec(spec, poorer)


def test_the_manifest_says_what_was_built(tmp_path: Path) -> None:
    from hashlib import sha256

    spec = archspec.load("lenet5", classes=7)
    folder = write_build(
        spec, load_backend("torch"), tmp_path / "out", weights=WeightSource(seed=5)
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["spec"] == {
        "file": "lenet5.yaml",
        "sha256": spec.sha256,
        "args": {"classes": 7},
    }
    assert manifest["backend"].keys() == {"name", "torch"}
    assert manifest["output"] == {"shape": [7], "loss": "cross_entropy"}
    assert manifest["seed"] == 5
    assert set(manifest["files"]) == {"model.py", "weights.safetensors"}
    for name, digest in manifest["files"].items():
        assert sha256((folder / name).read_bytes()).hexdigest() == digest


def test_arguments_for_a_loaded_spec_are_not_lost() -> None:
    with pytest.raises(TypeError, match=r"give classes to archspec\.load"):
        archspec.build(archspec.load("lenet5"), backend="torch", classes=3)


def test_a_misspelt_optimization_is_not_ignored() -> None:
    with pytest.raises(Failure, match="unknown optimization `inferense`") as failure:
        archspec.build("lenet5", optimize="inferense")  # pyright: ignore[reportArgumentType]
    assert "inference" in failure.value.help


def test_a_backends_own_options_are_held_to_what_its_command_line_takes() -> None:
    model = archspec.build("lenet5", backend="onnx", options={"opset": 17, "train": False})
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17]
    for options, message in (
        ({"opset": 99}, "`opset` of the backend `onnx`: expected an opset from"),
        ({"train": "no"}, "`train` of the backend `onnx`: expected True or False"),
        ({"opste": 17}, "no option `opste`"),
    ):
        with pytest.raises(Failure, match=message):
            archspec.build("lenet5", backend="onnx", options=options)


def test_overrides_are_part_of_the_hash() -> None:
    plain, same, other = (
        archspec.load("lenet5"),
        archspec.load("lenet5"),
        archspec.load("lenet5", classes=7),
    )
    assert plain.sha256 == same.sha256 != other.sha256


def test_inference_leaves_out_train_only_parts(tmp_path: Path) -> None:
    spec = archspec.load("googlenet")
    built = compile_spec(spec, load_backend("torch"), optimize="inference")
    source = load_backend("torch").emit(built.graph, provenance(spec))["model.py"].decode()
    assert "Dropout" not in source
    assert not any(name.startswith("aux") for name in built.weights)
    whole = compile_spec(spec, load_backend("torch"))
    assert any(name.startswith("aux1.") for name in whole.weights)
    for name, tensor in built.weights.items():
        assert (tensor == whole.weights[name]).all()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    backend = load_backend("torch")
    folder = write_build(archspec.load("lenet5"), backend, tmp_path / "one")
    other = archspec.load("lenet5", classes=7)
    with pytest.raises(Failure, match=r"output\.weight"):
        write_build(
            other,
            backend,
            tmp_path / "two",
            weights=WeightSource(folder / "weights.safetensors"),
        )
    assert not (tmp_path / "two").exists()


def test_weights_given_are_weights_written(tmp_path: Path) -> None:
    backend, spec = load_backend("torch"), archspec.load("lenet5")
    one = (
        write_build(spec, backend, tmp_path / "one", weights=WeightSource(seed=9))
        / "weights.safetensors"
    )
    two = write_build(spec, backend, tmp_path / "two", weights=WeightSource(one))
    assert one.read_bytes() == (two / "weights.safetensors").read_bytes()
    assert json.loads((two / "manifest.json").read_text())["weights"] == "weights.safetensors"
