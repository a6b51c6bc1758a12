"""`.onnx` files as weights: written and read back, other people's, and damaged ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

import archspec
from archspec.backend import MemoryBudget, TooLarge
from archspec.compiler import provenance
from archspec.conformance.compare import compare
from archspec.conformance.ops import spread
from archspec.equivalence.inputs import random_weights
from archspec.reference import evaluate
from archspec_onnx import files, model
from tests.helpers.specs import checked
from tests.helpers.time_limit import time_limit
from tests.unit.onnx.built import ONNX, built
from tests.unit.onnx.test_model import SMALL

(FORMAT,) = ONNX.formats


def read(path: Path) -> Mapping[str, NDArray[Any]]:
    found: Mapping[str, Any] = FORMAT.read(path, MemoryBudget(path))
    return {name: tensor.values for name, tensor in found.items() if not tensor.unused}


def with_initialisers(path: Path, *tensors: TensorProto) -> Path:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value], list(tensors)
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def pointing(location: str, **where: object) -> TensorProto:
    tensor = TensorProto(
        name="w", dims=[2], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
    )
    for key, value in {"location": location, **where}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def test_a_file_that_is_written_holds_every_tensor_and_runs(tmp_path: Path) -> None:
    spec = checked(SMALL)
    own = random_weights(spec.graph, 0)
    FORMAT.write(tmp_path / "net.onnx", spec.graph, provenance(spec), own)
    found = read(tmp_path / "net.onnx")
    natives = ONNX.tensor_layout(spec.graph)
    assert found.keys() == {native.name for native in natives.values()}
    assert all(
        (natives[name].to_portable(own[name].shape, found[natives[name].name]) == own[name]).all()
        for name in own
    )
    x = spread((2, 3, 9, 9), 0)
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    compare(ONNX.predict(tmp_path / "net.onnx", x), evaluate(spec.graph, own, x).outputs["main"])
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_what_does_not_fit_lies_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_MODEL_BYTES", 1000)
    monkeypatch.setattr(model, "MAX_MODEL_BYTES", 1000)
    spec = archspec.load("lenet5")
    own = random_weights(spec.graph, 0)
    FORMAT.write(tmp_path / "net.onnx", spec.graph, provenance(spec), own)
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx", "net.safetensors"}
    found = read(tmp_path / "net.onnx")
    assert all((found[name] == tensor).all() for name, tensor in own.items())


def test_the_model_of_a_build_is_read_wherever_its_weights_lie() -> None:
    spec = archspec.load("lenet5")
    own = random_weights(spec.graph, 0)
    for external in (False, True):
        with built(spec, own, external=external) as folder:
            found = read(folder / "model.onnx")
        assert found.keys() == own.keys()
        assert all((found[name] == tensor).all() for name, tensor in own.items())


def test_floats_of_any_width_are_read_and_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    values = np.array([0.5, -2.0])
    half = helper.make_tensor("b16", TensorProto.BFLOAT16, [2], values)
    given = [
        numpy_helper.from_array(values.astype(t), t)
        for t in ("float16", "float32", "float64", "int64")
    ]
    found = read(with_initialisers(tmp_path / "m.onnx", half, *given))
    assert {name: array.dtype.name for name, array in found.items()} == {
        "b16": "float32", "float16": "float32", "float32": "float32", "float64": "float64",
    }  # fmt: skip
    assert all((array == values).all() for array in found.values())


@pytest.mark.parametrize("content", [b"", b"\x00", b"PK\x03\x04" * 40, b"\xff" * 100, b"\x08\x0a"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ValueError, match="no ONNX model, or a damaged one"):
        read(tmp_path / "m.onnx")


def test_a_file_cut_short_is_refused_or_lacks_what_was_cut(tmp_path: Path) -> None:
    spec = archspec.load("lenet5")
    own = random_weights(spec.graph, 0)
    with built(spec, own) as folder:
        whole = (folder / "model.onnx").read_bytes()
    for end in range(0, len(whole), len(whole) // 23):
        (tmp_path / "m.onnx").write_bytes(whole[:end])
        with pytest.raises(ValueError, match="damaged"):
            read(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "damaged",
    [
        TensorProto(name="w", dims=[3], data_type=TensorProto.FLOAT, raw_data=b"\0" * 8),
        TensorProto(name="w", dims=[2**40], data_type=TensorProto.FLOAT, raw_data=b"\0" * 8),
        TensorProto(name="w", dims=[-1], data_type=TensorProto.FLOAT, raw_data=b"\0" * 7),
    ],
)
def test_damaged_values_are_refused(tmp_path: Path, damaged: TensorProto) -> None:
    with pytest.raises(ValueError, match="the initialiser `w` is damaged"):
        read(with_initialisers(tmp_path / "m.onnx", damaged))


def test_two_of_a_name_are_refused(tmp_path: Path) -> None:
    one = numpy_helper.from_array(np.ones(2, np.float32), "w")
    with pytest.raises(ValueError, match="two initialisers `w`"):
        read(with_initialisers(tmp_path / "m.onnx", one, one))


def test_values_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"12" + np.array([1.5, -3], np.float32).tobytes() + b"after")
    for where in ({"offset": 2, "length": 8}, {"offset": 2}):
        found = read(with_initialisers(tmp_path / "m.onnx", pointing("data", **where)))
        assert found["w"].tolist() == [1.5, -3]


def test_the_same_bytes_are_not_read_again_and_again(tmp_path: Path) -> None:
    """A file of 60 bytes for each would name as much memory as it likes."""
    count = 2**20
    (tmp_path / "data").write_bytes(bytes(4 * count))
    tensors = [pointing("data") for _ in range(20)]
    for number, tensor in enumerate(tensors):
        tensor.name, tensor.dims[0] = f"w{number}", count
    assert len(read(with_initialisers(tmp_path / "m.onnx", *tensors[:8]))) == 8
    with pytest.raises(TooLarge, match=r"`w1\d` takes 8,388,608 bytes"):
        read(with_initialisers(tmp_path / "m.onnx", *tensors))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (pointing("../secret"), "no file of the model's folder"),
        (pointing("link"), "no file of the model's folder"),
        (pointing("missing"), "no file of the model's folder"),
        (pointing(""), "no file of the model's folder"),
        (pointing("."), "no file of the model's folder"),
        (pointing("pipe"), "no file of the model's folder"),
        (pointing("a\0b"), "no file of the model's folder"),
        (pointing("data", offset=-1), "not those from -1 on"),
        (pointing("data", offset=4), "not those from 4 on"),
        (pointing("data", length=4), "not those from 0 on, 4 long"),
        (pointing("data", length="x"), "states no numbers"),
    ],
)
def test_values_out_of_the_folder_or_the_file_are_refused(
    tmp_path: Path, tensor: TensorProto, message: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"\0" * 8)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "data").write_bytes(b"\0" * 8)
    os.mkfifo(folder / "pipe")
    with time_limit(20), pytest.raises(ValueError, match=message):
        read(with_initialisers(folder / "m.onnx", tensor))


def test_the_absolute_path_of_another_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"\0" * 8)
    with pytest.raises(ValueError, match="no file of the model's folder"):
        read(with_initialisers(folder / "m.onnx", pointing(str(tmp_path / "secret"))))


def test_an_emitted_file_can_be_read_by_onnx_alone() -> None:
    spec = archspec.load("lenet5")
    own = random_weights(spec.graph, 0)
    with built(spec, own, external=True) as folder:
        loaded: ModelProto = onnx.load(folder / "model.onnx")
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in loaded.graph.initializer}
    assert all((found[name] == tensor).all() for name, tensor in own.items())
