"""A verification that would compare nothing is refused, and what a stranger left in the folder is not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archspec
from archspec.diagnostics import Failure, UsageError
from archspec.equivalence.report import Divergence, ReportLine, describe_difference


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"modes": ["evall"]}, "unknown mode `evall`"),
        ({"modes": "eval"}, "modes are a list"),
        ({"modes": []}, "nothing to compare"),
        ({"backends": []}, "nothing to compare"),
        ({"precision": "float16"}, "unknown precision `float16`"),
        ({"batch": 0}, "the batch is at least 1"),
        ({"seed": -1}, "the seed at least 0"),
    ],
)
def test_it_is_refused(options: Any, says: str) -> None:
    with pytest.raises(Failure, match=says) as refused:
        archspec.verify("conv5x5", **options)
    assert isinstance(refused.value, UsageError)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"modes": ["train"]}, "in eval mode alone, found the mode `train`"),
        ({"modes": ["eval", "step"]}, "in eval mode alone, found the mode `step`"),
        ({"precision": "float64"}, "in float32 alone, found `float64`"),
        ({"repro": "folder"}, "no folder reproduces the difference of a file"),
    ],
)
def test_what_a_file_alone_cannot_do_is_refused(options: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        archspec.verify("conv5x5", against="model.onnx", **options)
    assert "name backends" in refused.value.help


def test_a_backend_that_is_named_twice_is_verified_once() -> None:
    report = archspec.verify("conv5x5", ["torch", "torch"], ["eval"])
    assert [line.quantity for line in report.lines] == ["outputs", "activations"]


def test_a_file_called_as_the_framework_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('a stranger was run')")
    monkeypatch.chdir(tmp_path)
    archspec.verify("conv5x5", ["torch"], ["eval"]).raise_if_different()


def test_what_names_hold_is_shown_and_not_obeyed() -> None:
    first = Divergence("a\x1b[2Jb", "net.yaml:1:1", 1.0, 0.1)
    assert "\x1b" not in describe_difference(
        ReportLine("torch", "eval", "float32", "outputs", 1, 1, 1.0, 0.1, "a", first)
    )
