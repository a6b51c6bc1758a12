"""`archspec run` where a package that the model runs on is missing: exit code 3, and what to install."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import archspec
from archspec.backend import load
from archspec.cli import main
from archspec.compiler import write_build


@pytest.mark.parametrize(
    ("name", "missing", "install"),
    [
        ("onnx", "onnxruntime", "pip install 'archspec-nn[onnx]'"),
        ("keras", "tensorflow", "pip install 'archspec-nn[keras]' tensorflow"),
    ],
)
def test_a_missing_engine_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    missing: str,
    install: str,
) -> None:
    backend = load(name)

    def lacking(*_: Any) -> Any:  # as importing it says where it is missing
        raise ModuleNotFoundError(f"No module named '{missing}.python'", name=f"{missing}.python")

    folder = write_build(archspec.load("lenet5"), backend, tmp_path / "net")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "image.png")
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(
        "archspec.backend.load", lambda _: dataclasses.replace(backend, load=lacking)
    )
    assert main(["run", str(folder), str(tmp_path / "image.png"), "--quiet"]) == 3
    printed = capsys.readouterr().err
    assert f"the backend `{name}` needs {missing}, which is not installed" in printed
    assert install in printed
