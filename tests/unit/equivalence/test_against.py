"""A spec held against the model in a framework's own file: the first layer that differs is named."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import archspec
from archspec import weights
from archspec.backend import FileRun
from archspec.backend.model_file import to_input_layout
from archspec.cli import main
from archspec.diagnostics import Failure
from archspec.equivalence.against import compare_run
from archspec.equivalence.inputs import verify_inputs
from archspec.equivalence.report import ReportLine
from archspec.frontend.loader import Spec
from archspec_keras.saved_model import run_saved_model
from archspec_onnx.model_run import run_model
from archspec_torch.exported import run_exported
from tests.helpers.specs import checked

RIGHT = """archspec: 1
name: net
input: [3, 8, 6]
network:
  - {name: conv, conv: {out: 4, kernel: 3, padding: 1}}
  - {name: bn, batch_norm: {eps: 0.001}}
  - {name: act, relu: }
  - {name: pool, max_pool: {kernel: 2}}
  - flatten
  - {name: fc, linear: {out: 5}}
"""
MISTAKES = {
    "eps: 0.001": ("eps: 0.1", "bn"),
    "act, relu: ": ("act, tanh: ", "act"),
    "padding: 1": ("padding: same_lower, dilation: 2", "conv"),
    "pool, max_pool": ("pool, avg_pool", "pool"),
}


def keras_file(folder: Path) -> Path:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 6, 3)),
            layers.Conv2D(4, 3, padding="same", name="conv"),
            layers.BatchNormalization(epsilon=0.001, name="bn"),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(5, name="fc"),
        ]
    )
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    model.save(folder / "model.keras")
    return folder / "model.keras"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4, eps=0.001)
        self.fc = nn.Linear(48, 5)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.bn(self.conv(x)))
        return self.fc(torch.flatten(nn.functional.max_pool2d(x, 2), 1))


def pt2_file(folder: Path) -> Path:
    """Exported with a batch of three, and nothing else."""
    torch.manual_seed(0)
    model: Any = Net().eval()
    nn.init.uniform_(model.bn.running_mean)
    torch.save(model.state_dict(), folder / "model.pth")
    torch.export.save(torch.export.export(model, (torch.zeros(3, 3, 8, 6),)), folder / "model.pt2")
    return folder / "model.pt2"


def line_of(spec: Spec, path: Path, run: Callable[[Path, Any], FileRun]) -> ReportLine:
    source = path if path.suffix == ".keras" else path.with_suffix(".pth")
    inputs = verify_inputs(spec.graph, 0, 2, weights.load(source, spec))
    return compare_run(spec.graph, inputs, path.name, run(path, inputs.x))


@pytest.mark.parametrize(
    ("write", "run"), [(keras_file, run_saved_model), (pt2_file, run_exported)]
)
def test_the_first_layer_that_differs_is_named(
    tmp_path: Path, write: Callable[[Path], Path], run: Callable[[Path, Any], FileRun]
) -> None:
    path = write(tmp_path)
    line = line_of(checked(RIGHT), path, run)
    assert (line.passed, line.compared, line.of) == (True, 1, 1)
    for right, (wrong, layer) in MISTAKES.items():
        spec = checked(RIGHT.replace(right, wrong))
        line = line_of(spec, path, run)
        assert line.first is not None
        assert line.first.name == layer
        number = next(
            n for n, text in enumerate(RIGHT.splitlines(), 1) if f"name: {layer}," in text
        )
        assert f":{number}:" in line.first.location


def test_a_layer_that_is_joined_with_the_next_one_is_not_blamed(tmp_path: Path) -> None:
    spec = checked(RIGHT.replace("pool, max_pool", "pool, avg_pool"))
    inputs = verify_inputs(spec.graph, 0, 2, weights.load(keras_file(tmp_path), spec))
    run = run_saved_model(tmp_path / "model.keras", inputs.x)
    joined = FileRun(run.outputs, [(n, v) for n, v in run.values if n not in ("conv", "bn")])
    line = compare_run(spec.graph, inputs, "joined", joined)
    assert line.first is not None
    assert line.first.name == "pool"


def test_a_model_that_goes_on_differs_at_its_output(tmp_path: Path) -> None:
    spec = checked(RIGHT)
    inputs = verify_inputs(spec.graph, 0, 2, weights.load(keras_file(tmp_path), spec))
    run = run_saved_model(tmp_path / "model.keras", inputs.x)
    further = FileRun([np.tanh(run.outputs[0])], [*run.values, ("fc", run.outputs[0])])
    line = compare_run(spec.graph, inputs, "further", further)
    assert line.first is not None
    assert line.first.name == "fc"
    assert compare_run(spec.graph, inputs, "none", FileRun([])).failed.startswith("it gives 0")


def test_outputs_that_the_network_has_not_are_a_difference(tmp_path: Path) -> None:
    spec = checked(RIGHT)
    inputs = verify_inputs(spec.graph, 0, 2, weights.load(keras_file(tmp_path), spec))
    run = run_saved_model(tmp_path / "model.keras", inputs.x)
    doubled = FileRun([*run.outputs, 2 * run.outputs[0]], run.values)
    line = compare_run(spec.graph, inputs, "doubled", doubled)
    assert (line.passed, line.verdict, line.first) == (False, "DIFFERENT", None)
    assert line.failed.startswith("it gives 2 outputs, and the network has 1 head in eval mode;")
    further = FileRun([np.tanh(run.outputs[0]), run.outputs[0]], run.values)
    assert compare_run(spec.graph, inputs, "further", further).first is not None


def test_code_in_a_keras_file_is_not_run(tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(Failure, match="Keras does not load .* Lambda"):
        run_saved_model(tmp_path / "model.keras", np.zeros((1, 3)))


def onnx_file(folder: Path) -> Path:
    w, b = np.eye(4, 3, dtype=np.float32) + 1, np.arange(4, dtype=np.float32) - 3
    nodes = [
        helper.make_node("Gemm", ["x", "fc.weight", "fc.bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
        for name, size in (("x", 3), ("y", 4))
    ]
    stored = [numpy_helper.from_array(w, "fc.weight"), numpy_helper.from_array(b, "fc.bias")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, spec = onnx_file(tmp_path), tmp_path / "net.yaml"
    text = (
        "archspec: 1\nname: net\ninput: [3]\nnetwork:\n  - {name: fc, linear: {out: 4}}\n  - relu\n"
    )
    spec.write_text(text)
    assert main(["verify", str(spec), "--against", str(path)]) == 0
    assert "model.onnx  eval  float32  outputs  1" in capsys.readouterr().out
    assert main(["verify", str(spec), "--against", str(path), "--mode", "train"]) == 2
    assert main(["verify", str(spec), "--against", str(path), "--repro", str(tmp_path)]) == 2
    assert "no folder reproduces" in capsys.readouterr().err
    spec.write_text(text.replace("relu", "elu"))
    assert main(["verify", str(spec), "--against", str(path)]) == 1
    out = capsys.readouterr().out
    assert f"model.onnx, eval: outputs first differ at elu ({spec}:6:5)" in out
    (tmp_path / "model.txt").write_text("")
    assert main(["verify", str(spec), "--against", str(tmp_path / "model.txt")]) == 2
    assert "known are .keras, .onnx, .pt2" in capsys.readouterr().err
    (tmp_path / "model.pt2").write_text("")
    assert main(["verify", str(spec), "--against", str(tmp_path / "model.pt2"), "--trust"]) == 2
    assert "`--weights`" in capsys.readouterr().err


def with_member(source: Path, target: Path, member: str, edit: Callable[[bytes], bytes]) -> None:
    """Copy an archive with one of its members edited."""
    found = False
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            is_it = name.endswith(member)
            new.writestr(name, edit(old.read(name)) if is_it else old.read(name))
            found |= is_it
    assert found


class Toucher:
    """An object whose unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_an_exported_program_runs_only_if_it_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pickled = io.BytesIO()
    torch.save(Toucher(tmp_path / "ran"), pickled)
    evil = tmp_path / "evil.PT2"
    with_member(pt2_file(tmp_path), evil, "sample_inputs/model.pt", lambda _: pickled.getvalue())
    spec = tmp_path / "net.yaml"
    spec.write_text(RIGHT)
    loaded = checked(RIGHT)
    weights.save(tmp_path / "w.safetensors", weights.load(tmp_path / "model.pth", loaded), loaded)
    command = ["verify", str(spec), "--weights", str(tmp_path / "w.safetensors"), "--against"]
    assert main([*command, str(evil)]) == 1
    error = capsys.readouterr().err
    assert "evil.PT2` is a program: loading it can run any code" in error
    assert "`--trust`" in error
    assert not (tmp_path / "ran").exists()
    with pytest.raises(Failure, match="is a program"):
        archspec.verify(loaded, against=evil)
    assert main([*command, str(tmp_path / "model.pt2"), "--trust"]) == 0
    assert main([*command, str(evil), "--trust"]) in (0, 1)
    assert (tmp_path / "ran").exists(), "this file would show nothing"


def test_damaged_files_are_told(tmp_path: Path) -> None:
    for suffix, run in ((".keras", run_saved_model), (".pt2", run_exported), (".onnx", run_model)):
        (tmp_path / f"model{suffix}").write_bytes(b"nothing of the kind")
        with pytest.raises(Failure, match="does not load"):
            run(tmp_path / f"model{suffix}", np.zeros((1, 3)))


def test_an_input_is_laid_out_as_the_file_takes_it() -> None:
    x = np.zeros((2, 3, 8, 6))
    assert to_input_layout(x, [None, 3, 8, 6]).shape == (2, 3, 8, 6)
    assert to_input_layout(x, [None, 8, 6, 3]).shape == (2, 8, 6, 3)
    assert to_input_layout(x, [None, None, None, 3]).shape == (2, 8, 6, 3)
    cube = np.zeros((2, 3, 3, 3))
    cube[:, 0] = 1
    assert (to_input_layout(cube, [None, 3, 3, 3]) == cube).all()
    assert (to_input_layout(cube, [None, 3, 3, 3], channels_last=True)[..., 0] == 1).all()
