"""What is read or rebuilt is what runs: no cached bytecode, and no stranger's code without `--trust`."""

from __future__ import annotations

import hashlib
import importlib._bootstrap_external as bootstrap
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import archspec
from archspec.backend import load
from archspec.build_folder import MANIFEST
from archspec.cli import main
from archspec.compiler import write_build
from archspec.weights.weight_source import WeightSource
from tests.helpers import forked

TORCH = load("torch")
LEAKY = """archspec: 1
input: [3, 8, 8]
network: [{leaky_relu: {slope: %s}}, global_avg_pool]
heads: {main: {loss: none}}
"""


def built(folder: Path, **options: Any) -> Path:
    """A build for torch, with an image beside it."""
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder.parent / "image.png")
    return write_build(archspec.load("lenet5"), TORCH, folder, **options)


def run(folder: Path, *options: str) -> int:
    return main(["run", str(folder), str(folder.parent / "image.png"), *options])


def plant_bytecode(model: Path, source: str) -> None:
    """Put code into the cache of a module that Python takes without looking at the module."""
    planted: Any = bootstrap
    code = compile(source, str(model), "exec")
    cached = Path(importlib.util.cache_from_source(str(model)))
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(planted._code_to_hash_pyc(code, b"\0" * 8, False))


def with_changed_source(folder: Path, text: str = "open('ran', 'w').close()\n") -> None:
    model = folder / "model.py"
    model.write_text(text + model.read_text())


def consistent(folder: Path) -> None:
    """Make the manifest that of the files that lie there, as a stranger would."""
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_bytecode_is_written_in_tests_as_it_is_for_users() -> None:
    program = "import sys; print(sys.dont_write_bytecode)"
    for module in (subprocess, forked):
        done = module.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.stdout == "False\n"
    assert not sys.dont_write_bytecode


def test_a_planted_cache_does_not_run(tmp_path: Path) -> None:
    folder = built(tmp_path / "net")
    plant_bytecode(folder / "model.py", "raise SystemExit('planted code ran')")
    assert run(folder) == 0
    TORCH.load(folder)


def test_a_rebuild_removes_what_python_cached_of_the_source_before(tmp_path: Path) -> None:
    folder = built(tmp_path / "net")
    plant_bytecode(folder / "model.py", "raise SystemExit('planted code ran')")
    (folder / "__pycache__" / "model.cpython-20.pyc").write_bytes(b"another Python's")
    (folder / "__pycache__" / "mine.txt").write_text("kept")
    built(folder, weights=WeightSource(seed=1))
    assert [path.name for path in (folder / "__pycache__").iterdir()] == ["mine.txt"]
    # Python's own import, as the emitted file's users write it
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import model; model.build_model()"
    forked.run([sys.executable, "-c", program], check=True)


def test_a_folder_that_is_rebuilt_at_once_loads_as_what_it_is_now(tmp_path: Path) -> None:
    import torch

    spec, folder = tmp_path / "net.yaml", tmp_path / "net"
    for slope in (0.25, 0.75, 0.25):  # texts of one length
        spec.write_text(LEAKY % slope)
        write_build(archspec.load(spec), TORCH, folder)
        assert TORCH.load(folder)(-torch.ones(1, 3, 8, 8)).mean() == -slope


def test_an_onnx_file_that_is_rebuilt_at_once_predicts_as_what_it_is_now(tmp_path: Path) -> None:
    onnx, spec, folder = load("onnx"), tmp_path / "net.yaml", tmp_path / "net"
    import os

    for slope in (0.25, 0.75, 0.25):
        spec.write_text(LEAKY % slope)
        write_build(archspec.load(spec), onnx, folder)
        os.utime(folder / "model.onnx", ns=(0, 0))  # within one tick of the clock
        found = onnx.predict(folder / "model.onnx", -np.ones((1, 3, 8, 8), np.float32))
        assert found.mean() == -slope


@pytest.mark.parametrize("change", ["edited", "edited, consistent", "code missing", "weights"])
def test_a_changed_build_asks_for_trust(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = built(tmp_path / "net")
    if change == "weights":
        shutil.copy(
            built(tmp_path / "b", weights=WeightSource(seed=1)) / "weights.safetensors", folder
        )
    elif change == "code missing":
        (folder / "model.py").unlink()
    else:
        with_changed_source(folder)
    if "consistent" in change:
        consistent(folder)
    assert run(folder) == 1
    printed = capsys.readouterr().err
    assert "`--trust` runs it" in printed
    if change == "edited, consistent":
        assert "was not built by you on this machine" in printed
    else:
        name = "weights.safetensors" if change == "weights" else "model.py"
        assert f"`{name}` in" in printed
        assert "differs from the manifest" in printed
    assert not Path("ran").exists()
    if change != "code missing":
        assert run(folder, "--trust") == 0
        assert "note: " in capsys.readouterr().err
        assert Path("ran").exists() == change.startswith("edited")


def test_a_build_for_another_backend_is_not_trusted_with_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a recorded ONNX build, and a model.py beside them that its manifest does not list."""
    monkeypatch.chdir(tmp_path)
    folder = built(tmp_path / "net")
    onnx = write_build(archspec.load("lenet5"), load("onnx"), tmp_path / "onnx")
    (onnx / "model.py").write_text("open('ran', 'w').close()")
    manifest = json.loads((onnx / MANIFEST).read_text())
    (onnx / MANIFEST).write_text(json.dumps({**manifest, "backend": {"name": "torch"}}))
    assert run(folder) == 0
    assert run(onnx) == 1
    assert not Path("ran").exists()


def test_what_was_built_elsewhere_asks_for_trust_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = built(tmp_path / "net")
    moved = folder.rename(tmp_path / "moved")
    assert run(moved) == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user's"))
    assert run(moved) == 1
    assert run(moved, "--trust") == 0


def test_a_build_that_cannot_be_recorded_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert main(["build", "lenet5", "--backend", "torch", "-o", str(tmp_path / "net")]) == 0
    assert "cannot be recorded" in capsys.readouterr().err


def test_eval_asks_for_trust_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    sets = ["train.learning_rate=.1", "train.epochs=1", "train.batch=64", "classes=10"]
    options = [f"--set={text}" for text in sets]
    spec = ["train", "lenet5", "--data", "digits", "-o", "run", "--quiet", *options]
    assert main(spec) == 0
    assert main(["eval", "run", "--quiet"]) == 0
    with_changed_source(Path("run"))
    capsys.readouterr()
    assert main(["eval", "run", "--quiet"]) == 1
    assert "`model.py` in `run` differs from the manifest" in capsys.readouterr().err
    consistent(Path("run"))
    assert main(["eval", "run", "--quiet"]) == 1
    assert not Path("ran").exists()
    assert main(["eval", "run", "--quiet", "--trust"]) == 0
    assert Path("ran").exists()
