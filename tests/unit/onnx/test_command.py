"""`archspec build` with a backend's own options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archspec.cli import main
from tests.unit.onnx.built import ONNX

Captured = pytest.CaptureFixture[str]


def build(folder: Path, *words: str) -> int:
    return main(["build", "lenet5", "--quiet", "-o", str(folder / "out"), *words])


def test_options_of_a_backend_are_flags(tmp_path: Path) -> None:
    assert build(tmp_path, "--opset", "17", "--backend", "onnx", "--external", "--train") == 0
    model = ONNX.load(tmp_path / "out")
    assert model.opset_import[0].version == 17
    assert {entry.key: entry.value for entry in model.metadata_props}["mode"] == "train"
    assert (tmp_path / "out" / "model.onnx").stat().st_size < 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--backend", "torch", "--opset", "17"], "unrecognized arguments: --opset 17"),
        (
            ["--backend", "onnx", "--opset", "16"],
            "argument --opset: expected an opset from 17 to 28, found '16'",
        ),
        (["--backend", "onnx", "--opset", "new"], "expected an opset from 17 to 28, found 'new'"),
        (["--backend", "onnx", "--opset=²"], "expected an opset from 17 to 28, found '²'"),
        (["--backend"], "argument --backend: expected one argument"),
        (["--opset", "17"], "--backend"),
    ],
)
def test_an_option_that_cannot_be_is_wrong_usage(
    words: list[str], message: str, tmp_path: Path, capsys: Captured
) -> None:
    with pytest.raises(SystemExit) as stop:
        build(tmp_path, *words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_the_options_of_the_backend_that_is_named(capsys: Captured) -> None:
    for backend, shown in (("onnx", True), ("torch", False)):
        with pytest.raises(SystemExit):
            main(["build", "--backend", backend, "--help"])
        assert ("--opset N" in capsys.readouterr().out) == shown


def test_a_missing_framework_exits_3_though_its_options_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    import importlib.util

    found: Any = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "onnx" else found(name, *rest),
    )
    assert build(tmp_path, "--backend", "onnx", "--opset", "17") == 3
    assert "archspec-nn[onnx]" in capsys.readouterr().err


def test_listing_the_backend_imports_no_framework() -> None:
    program = "import sys, archspec_onnx; sys.exit(bool({'onnx', 'onnxruntime', 'numpy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_other_commands_import_no_backend() -> None:
    program = "import sys; from archspec.cli import main; main(['check', 'lenet5', '--quiet']); sys.exit('archspec_onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
