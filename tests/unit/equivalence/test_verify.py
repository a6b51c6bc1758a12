"""`archspec.verify` and `archspec verify`: what they print, and the codes that they end with."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

import archspec
from archspec.backend.session import Precision
from archspec.cli import main
from archspec.diagnostics import Failure
from archspec.equivalence import DifferenceError, verify
from archspec.weights.checkpoint import network_metadata, save_checkpoint
from archspec.weights.init import initial_tensors
from tests.helpers.installed import broken, installed

TEXT = "archspec: 1\nname: net\nargs: {n: 2}\ninput: [2, 3, 3]\nnetwork: [{name: one, conv: {out: $n, kernel: 2}}, elu]\n"

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(TEXT)
    return tmp_path / "net.yaml"


@pytest.fixture(scope="module", autouse=True)
def _wrong(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    folder = tmp_path_factory.mktemp("backends")
    failing = broken("failing", prank="raise ValueError('not this one')")
    lacking = broken("lacking").replace(
        'name="lacking"', 'name="lacking", framework="no_such", extra="torch"'
    )
    single = broken("single").replace(
        'name="single"', 'name="single", precisions=("float32",), modes=("grad",)'
    )
    with (
        installed(folder, "wrong", broken("wrong", "{'alpha': 0.5}")),
        installed(folder, "failing", failing),
        installed(folder, "lacking", lacking),
        installed(folder, "single", single),
    ):
        yield


def test_the_same_everywhere(capsys: Captured) -> None:
    assert main(["verify", "net.yaml", "--backends", "torch"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()[1:] if line.startswith("torch")]
    assert [(row[1], row[2], row[3]) for row in rows] == [
        ("eval", "float32", "outputs"),
        ("eval", "float32", "activations"),
        ("train", "float32", "outputs"),
        ("train", "float32", "activations"),
        ("grad", "float64", "gradients"),
        ("step", "float64", "tensors"),
        ("step", "float64", "slots"),
    ]
    assert all(row[-1] == "same" for row in rows)
    assert "all the same" in err
    assert not list(Path().glob("repro*"))


def test_a_difference_ends_with_1_and_is_written(capsys: Captured) -> None:
    assert main(["verify", "net.yaml", "--backends", "torch, wrong", "--mode", "grad,eval"]) == 1
    out, err = capsys.readouterr()
    assert "wrong, eval: outputs first differ at main (net.yaml:5:" in out
    assert "to reproduce it: repro-net" in err
    assert Path("repro-net", "spec.yaml").is_file()


def test_json_is_all_that_stdout_has(capsys: Captured) -> None:
    arguments = [
        "verify",
        "net.yaml",
        "--backends",
        "wrong",
        "--mode",
        "eval",
        "--repro",
        "here",
        "--set",
        "n=3",
    ]
    assert main([*arguments, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["spec"], found["passed"], found["repro"]) == (
        "net",
        "net.yaml",
        False,
        "here",
    )
    assert [line["quantity"] for line in found["lines"]] == ["outputs", "activations"]
    assert Path("here").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mode", "eval,trian"], 2, "unknown mode `trian`"),
        (["--mode", ""], 2, "unknown mode ``"),
        (["--precision", "float16"], 2, "invalid choice: 'float16'"),
        (["--format", "yaml"], 2, "invalid choice: 'yaml'"),
        (["--batch", "0"], 2, "the batch is at least 1"),
        (["--seed", "-1"], 2, "the seed at least 0"),
        (["--backends", "torhc"], 2, "unknown backend `torhc`"),
        (["--backends", "keras@no"], 2, "has no engine `no`"),
        (["--backends", "lacking"], 3, "needs no_such, which is not installed"),
        (["--weights", "none.safetensors"], 1, "no file `none.safetensors`"),
        (["--set", "n=-1"], 1, "net.yaml"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], code: int, message: str, capsys: Captured
) -> None:
    try:
        ended = main(
            [
                "verify",
                "net.yaml",
                *(["--backends", "torch"] if "--backends" not in arguments else []),
                *arguments,
            ]
        )
    except SystemExit as error:  # argparse's way
        ended = error.code
    assert ended == code
    assert message in "".join(capsys.readouterr())


def test_a_framework_that_is_missing_names_the_extra(capsys: Captured) -> None:
    assert main(["verify", "net.yaml", "--backends", "lacking"]) == 3
    assert "[torch]" in capsys.readouterr().err


def test_a_session_that_fails_is_a_line_and_the_others_are_verified_all_the_same() -> None:
    report = verify("net.yaml", backends=["failing", "torch"], modes=["eval"])
    failed, *others = report.lines
    assert (failed.target, failed.passed) == ("failing", False)
    assert failed.failed == "ValueError: not this one"
    assert [line.verdict for line in others] == ["same", "same"]
    with pytest.raises(DifferenceError, match="failing, eval: ValueError: not this one"):
        report.raise_if_different()


def test_what_a_backend_lacks_is_skipped_or_done_in_the_precision_it_has() -> None:
    report = verify("net.yaml", backends=["single"], modes=["eval", "grad"])
    skipped, done = report.lines
    assert (skipped.mode, skipped.skipped, skipped.verdict) == (
        "eval",
        "the backend single cannot",
        "skipped",
    )
    assert (done.mode, done.precision, done.bound >= 1e-5) == ("grad", "float32", True)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_precision_that_is_asked_for_is_used(precision: Precision) -> None:
    report = verify("net.yaml", backends=["torch"], precision=precision, batch=1)
    assert {line.precision for line in report.lines} == {precision}
    least = 1e-5 if precision == "float32" else 1e-10
    assert all(least <= line.bound <= 4 * least for line in report.lines), (
        "the bound is that of another precision"
    )
    assert report.passed


def test_weights_and_arguments_may_be_given(tmp_path: Path) -> None:
    spec = archspec.load("net.yaml", n=3)
    save_checkpoint(
        tmp_path / "w.safetensors",
        initial_tensors(spec.graph, 4),
        network_metadata(spec.graph, spec.sha256),
    )
    report = verify(
        "net.yaml", backends=["torch"], modes=["step"], weights=tmp_path / "w.safetensors", n=3
    )
    assert report.passed
    assert [line.of for line in report.lines] == [2, 2]
    with pytest.raises(Failure, match="of another shape"):
        verify("net.yaml", backends=["torch"], weights=tmp_path / "w.safetensors")
