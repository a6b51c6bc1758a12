"""A backend that fails is named, with the op and line it was lowering, and never archspec itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import archspec
from archspec.backend import BackendError, attributed, broken_backends, find, lowering
from archspec.backend.attribution import LoweringError, describe_exception
from archspec.cli import main
from archspec.diagnostics import Failure
from tests.helpers.installed import installed

SPEC = """\
archspec: 1
name: tiny
input: [1, 8, 8]
network:
  - conv: {out: 2, kernel: 3}
  - flatten
  - linear: {out: 3}
"""

FAULTY = """
import os
from dataclasses import replace

from archspec.backend import lowering
from archspec_torch import BACKEND as TORCH


def emit(graph, provenance, weights=None, /, **options):
    for node in graph.nodes[1:]:
        with lowering(node):
            if node.op.kind == os.environ.get("FAIL_AT"):
                raise KeyError(node.op.kind)
    if os.environ.get("FAIL") == "emit":
        raise ZeroDivisionError("division by zero")
    return TORCH.emit(graph, provenance, weights, **options)


def load(folder):
    if os.environ.get("FAIL") == "load":
        raise AttributeError("no such module")
    return TORCH.load(folder)


class Session:
    def __init__(self, session):
        self.session = session

    def __getattr__(self, name):
        if os.environ.get("FAIL") == "session":
            raise IndexError("out of range")
        return getattr(self.session, name)


def explain(graph, node):
    raise RuntimeError("no words")


BACKEND = replace(
    TORCH, name="faulty", emit=emit, load=load, explain=explain,
    open=lambda folder, graph, precision: Session(TORCH.open(folder, graph, precision)),
)
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def faulty(tmp_path: Path) -> Any:
    folder = tmp_path / "plugins"
    folder.mkdir()
    with installed(folder, "faulty", FAULTY):
        yield


def failed(capsys: Captured, *arguments: str) -> str:
    """What a command that meets a faulty backend prints; its exit code is that of an internal fault."""
    assert main([*arguments]) == 70
    error = capsys.readouterr().err
    assert "fault of archspec itself" not in error
    assert "help: report it to its authors; ARCHSPEC_TRACEBACK=1 shows where it failed" in error
    return error


def build(spec: Path, capsys: Captured) -> str:
    output = str(spec.parent / "out")
    return failed(capsys, "build", str(spec), "--backend", "faulty", "-o", output, "--quiet")


def test_an_emitter_that_fails_is_the_backends(
    spec: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "emit")
    error = build(spec, capsys)
    assert "the backend `faulty` failed while emitting `tiny`: ZeroDivisionError: division" in error


def test_a_lowering_that_fails_names_the_op_and_its_line(
    spec: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL_AT", "linear")
    error = build(spec, capsys)
    assert "the backend `faulty` failed while lowering `linear` at " in error
    assert "tiny.yaml:7:5: KeyError: 'linear'" in error


def test_a_model_that_does_not_load_is_the_backends(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "load")
    with pytest.raises(
        BackendError, match="`faulty` failed while loading .* AttributeError: no such"
    ):
        archspec.build(str(spec), backend="faulty")


def test_a_session_that_fails_is_the_backends(
    spec: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "session")
    monkeypatch.chdir(spec.parent)  # where verify writes the files that repeat a difference
    assert main(["verify", str(spec), "--backends", "faulty", "--mode", "eval"]) != 0
    captured = capsys.readouterr()
    assert "faulty, eval: IndexError: out of range" in captured.out + captured.err
    assert "fault of archspec itself" not in captured.err


def test_an_explanation_that_fails_is_the_backends(spec: Path, capsys: Captured) -> None:
    error = failed(capsys, "explain-op", f"{spec}:7", "--backend", "faulty")
    assert "the backend `faulty` failed while lowering `linear` at " in error
    assert "RuntimeError: no words" in error


def test_a_traceback_is_shown_when_asked_for(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL_AT", "conv")
    monkeypatch.setenv("ARCHSPEC_TRACEBACK", "1")
    with pytest.raises(BackendError) as caught:
        main(["build", str(spec), "--backend", "faulty", "-o", str(spec.parent / "out")])
    cause = caught.value.__cause__
    assert isinstance(cause, LoweringError)
    assert isinstance(cause.__cause__, KeyError)


SHIPPED: dict[str, tuple[str, Callable[..., Any]]] = {
    "torch": ("archspec_torch.lowerings", lambda *_: 1 / 0),
    "onnx": ("archspec_onnx.lowerings", lambda *_: 1 / 0),
}


@pytest.mark.parametrize("backend", SHIPPED)
def test_a_shipped_lowering_that_fails_names_the_op_and_its_line(
    backend: str, spec: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    module, broken_lowering = SHIPPED[backend]
    monkeypatch.setitem(importlib.import_module(module).LOWERED, "conv", broken_lowering)
    output = str(spec.parent / "out")
    error = failed(capsys, "build", str(spec), "--backend", backend, "-o", output, "--quiet")
    assert f"the backend `{backend}` failed while lowering `conv` at " in error
    assert "tiny.yaml:5:5: ZeroDivisionError: division by zero" in error


def test_a_broken_backend_is_named_where_a_backend_is_unknown(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    with installed(folder, "shattered", "raise ImportError('not today')"):
        message = "the backend `shattered` cannot be imported: not today"
        assert broken_backends() == {"shattered": message}
        with pytest.raises(BackendError, match="unknown backend `shatered`") as caught:
            find("shatered")
        assert message in caught.value.help
        with pytest.raises(BackendError, match=message):
            find("shattered")


def test_a_broken_backend_is_named_where_a_kind_of_weights_is_unknown(
    tmp_path: Path, spec: Path, capsys: Captured
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (tmp_path / "weights.shards").write_bytes(b"1")
    with installed(folder, "shattered", "import os\nraise SystemExit('no licence')"):
        output = str(tmp_path / "w.safetensors")
        arguments = ["weights", "import", str(tmp_path / "weights.shards"), "--spec", str(spec)]
        assert main([*arguments, "-o", output]) != 0
    assert "the backend `shattered` cannot be imported: no licence" in capsys.readouterr().err


def test_a_failure_passes_as_it_is() -> None:
    failure = Failure("the opset is too old")
    node = archspec.load("lenet5").graph.nodes[1]
    with pytest.raises(Failure) as caught, attributed("mine", "emitting"), lowering(node):
        raise failure
    assert caught.value is failure


def test_an_exception_is_described_in_one_line() -> None:
    assert describe_exception(ValueError("first\nsecond")) == "ValueError: first"
    assert describe_exception(KeyError()) == "KeyError"
