"""`archspec weights`: what it prints, what it writes, and the codes it ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec import weights
from archspec.backend.session import slot_name
from archspec.cli import main
from archspec.frontend.loader import Spec
from archspec.weights.checkpoint import network_metadata
from archspec.weights.checkpoint import save_checkpoint as save_checkpoint
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT, drawn, same


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(TEXT)
    found = checked(TEXT)
    weights.save("w.safetensors", drawn(found.graph), found)
    return found


def test_inspect_for_people(spec: Spec, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(
        Path("w.safetensors"),
        {"b": np.array([1, 2, np.nan, np.inf, 3])},
        {"name": "a\x1bb", "seed": 3},
    )
    assert main(["weights", "inspect", "w.safetensors"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "portable checkpoint: 1 tensors, 5 values"
    assert set(lines[1:4]) == {"name: a\\x1bb", "seed: 3", "version: 1"}
    assert lines[-1].split() == ["b", "5", "float32", "1", "2", "3", "0.8165", "1", "1"]
    assert "digests" not in out


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".onnx"])
def test_inspect_as_json(spec: Spec, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    tensors = drawn(spec.graph)
    weights.save(f"w{suffix}", tensors, spec)
    assert main(["weights", "inspect", f"w{suffix}", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["count"] == len(found["tensors"]) == len(tensors)
    assert found["values"] == sum(tensor.size for tensor in tensors.values())
    by_shape = {tuple(entry["shape"]): entry for entry in found["tensors"]}
    entry, expected = by_shape[4, 3, 3, 1], tensors["one.weight"].astype(np.float64)
    figures = [expected.min(), expected.mean(), expected.max(), expected.std()]
    assert np.allclose([entry[key] for key in ("min", "mean", "max", "std")], figures, rtol=1e-12)
    assert (entry["nan"], entry["inf"], entry["dtype"]) == (0, 0, "float32")
    if suffix == ".safetensors":
        assert found["metadata"] == {"version": "1"} | network_metadata(spec.graph, spec.sha256)


def test_inspect_of_a_damaged_file_names_the_tensor(
    spec: Spec, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(Path("w.safetensors").read_bytes())
    data[-1] ^= 1
    Path("w.safetensors").write_bytes(data)
    assert main(["weights", "inspect", "w.safetensors"]) == 1
    err = capsys.readouterr().err
    assert "is damaged" in err
    assert "`one.weight`" in err


def test_export_import_and_convert(spec: Spec, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--spec", "small.yaml"]
    assert (
        main(["weights", "export", "w.safetensors", "--to", "torch", *common, "-o", "w.pth"]) == 0
    )
    assert main(["weights", "convert", "w.pth", "w.onnx", *common]) == 0
    assert main(["weights", "import", "w.onnx", *common, "-o", "back.safetensors"]) == 0
    captured = capsys.readouterr()
    assert captured.out.split() == ["w.pth", "w.onnx", "back.safetensors"]
    assert "note: read by torch's own names" in captured.err
    assert same(weights.load("back.safetensors", spec), drawn(spec.graph))
    assert (
        main(["weights", "export", "w.pth", "--to", "onnx", *common, "-o", "quiet.onnx", "--quiet"])
        == 0
    )
    assert capsys.readouterr().err == ""


def test_slots_of_an_optimizer_are_kept_or_named(
    spec: Spec, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = drawn(spec.graph)
    slots = {slot_name(name, "momentum"): 2 * tensor for name, tensor in tensors.items()}
    save_checkpoint(
        Path("w.safetensors"), {**tensors, **slots}, network_metadata(spec.graph, spec.sha256)
    )
    neutral = ["w.safetensors", "--spec", "small.yaml", "-o", "again.safetensors"]
    assert main(["weights", "import", *neutral]) == 0
    assert f"and {len(slots)} slots of an optimizer" in capsys.readouterr().err
    assert Path("again.safetensors").read_bytes() == Path("w.safetensors").read_bytes()
    for command in (
        ["weights", "convert", "w.safetensors", "w.pt", "--spec", "small.yaml"],
        [
            "weights",
            "export",
            "w.safetensors",
            "--to",
            "onnx",
            "--spec",
            "small.yaml",
            "-o",
            "w.onnx",
        ],
        ["build", "small.yaml", "--backend", "torch", "-o", "net", "--weights", "w.safetensors"],
    ):
        assert main([*command, "--quiet"]) == 0
        assert capsys.readouterr().err == ""
        assert main(command) == 0
        (note,) = (
            line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")
        )
        assert f"left out, {len(slots)}: " in note
        assert all(f"`{name}`" in note for name in slots)
    assert same(weights.load("w.pt", spec), tensors)


def test_slots_that_are_left_out_need_not_be_finite(
    spec: Spec, capsys: pytest.CaptureFixture[str]
) -> None:
    slots = {"fc.bias@momentum": np.full(5, np.nan, np.float32)}
    save_checkpoint(
        Path("w.safetensors"), drawn(spec.graph) | slots, network_metadata(spec.graph, spec.sha256)
    )
    to = ["--spec", "small.yaml"]
    assert ended(capsys, "convert", "w.safetensors", "w.pt", *to)[0] == 0
    code, err = ended(capsys, "convert", "w.safetensors", "again.safetensors", *to)
    assert (code, "`fc.bias@momentum`: 5 NaN" in err) == (1, True)


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    try:
        code = main(["weights", *arguments])
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().err


def test_wrong_usage(spec: Spec, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in [
        ([], "ACTION"),
        (["convert", "w.safetensors", "w.pt"], "--spec"),
        (
            ["import", "w.safetensors", "--spec", "small.yaml", "-o", "w.pt"],
            "ends in .safetensors, found `w.pt`",
        ),
        (
            ["export", "w.safetensors", "--spec", "small.yaml", "--to", "trch", "-o", "w.pt"],
            "did you mean `torch`?",
        ),
    ]:
        code, err = ended(capsys, *arguments)
        assert code == 2, arguments
        assert message in err
    assert not Path("w.pt").exists()


def test_faults_leave_nothing_behind(spec: Spec, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.yaml").write_text(TEXT.replace("batch_norm: {}", "batch_norm: {eps: 0.5}"))
    Path("wider.yaml").write_text(TEXT.replace("linear: {out: 5}", "linear: {out: 6}"))
    before = sorted(Path().iterdir())
    to = ["convert", "w.safetensors", "w.pt", "--spec"]
    for arguments, message in [
        ([*to, "other.yaml"], "made for another network, though its tensors fit"),
        ([*to, "wider.yaml"], "`fc.weight` is 5x96, expected 6x96"),
        (["convert", "none.pt", "w.onnx", "--spec", "small.yaml"], "no file `none.pt`"),
        (["convert", "w.safetensors", "w.doc", "--spec", "small.yaml"], "known are .caffemodel"),
        (["convert", "w.safetensors", "no/w.pt", "--spec", "small.yaml"], "cannot write `no/w.pt`"),
        (
            [
                "import",
                "w.safetensors",
                "--spec",
                "small.yaml",
                "-o",
                "x.safetensors",
                "--mapping",
                "x",
            ],
            "unknown mapping",
        ),
    ]:
        code, err = ended(capsys, *arguments)
        assert (code, message in err) == (1, True), err
    assert sorted(Path().iterdir()) == before
    assert ended(capsys, *to, "other.yaml", "--ignore-spec")[0] == 0


def test_numbers_that_are_none(spec: Spec, capsys: pytest.CaptureFixture[str]) -> None:
    tensors: dict[str, Any] = drawn(spec.graph)
    tensors["fc.bias"][2] = np.nan
    weights.save("w.safetensors", tensors, spec)
    to = ["w.safetensors", "w.pt", "--spec", "small.yaml"]
    code, err = ended(capsys, "convert", *to)
    assert (code, "`fc.bias`: 1 NaN, 0 infinite" in err) == (1, True)
    assert ended(capsys, "convert", *to, "--allow-nonfinite")[0] == 0


def test_a_build_takes_what_import_takes(spec: Spec, capsys: pytest.CaptureFixture[str]) -> None:
    weights.save("w.pt", drawn(spec.graph), spec)
    built = ["build", "small.yaml", "--backend", "torch", "-o", "net", "--weights"]
    assert main([*built, "w.pt"]) == 0
    assert "note: read by torch's own names" in capsys.readouterr().err
    assert same(weights.load("net/weights.safetensors", spec), drawn(spec.graph))
    Path("other.yaml").write_text(TEXT.replace("batch_norm: {}", "batch_norm: {eps: 0.5}"))
    built[1], built[5] = "other.yaml", "second"
    assert main([*built, "w.safetensors"]) == 1
    assert "`--ignore-spec`" in capsys.readouterr().err
    assert not Path("second").exists()
    assert main([*built, "w.safetensors", "--ignore-spec"]) == 0
