"""`archspec init --backend`: a package that installs, and that passes the conformance suite with its one op."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archspec.cli import main
from archspec.cli.new_backend import LOWERED, package_files
from archspec.ops import OPS

FEW = """
from hypothesis import Phase, settings
settings.register_profile("few", max_examples=5, derandomize=True, database=None, phases=[Phase.generate])
settings.load_profile("few")
"""

SPEC = """archspec: 1
name: two
input: [4]
network:
  - {name: first, linear: {out: 3}}
  - {name: 'l"ast', linear: {out: 2, bias: false}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a new backend, as the command writes it."""
    folder = tmp_path_factory.mktemp("new") / "project"
    assert main(["init", "--backend", "fresh", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed in."""
    target = tmp_path_factory.mktemp("installed") / "site"
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", target, project],
        check=True,
    )
    return target


def test_it_passes_the_conformance_suite_with_its_op_and_has_gaps_for_the_others(
    project: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "few.py").write_text(FEW)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{tmp_path}", prepend=":")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    report = tmp_path / "report.xml"
    options = ["-q", "-p", "few", "-p", "no:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    endings = {
        case.attrib["name"]: case[0].tag if len(case) else "passed"
        for case in ElementTree.parse(report).iter("testcase")
    }
    assert {endings[f"test_layer[fresh-{kind}]"] for kind in OPS} == {"passed"}
    assert endings["test_every_op_is_lowered_or_a_gap[fresh]"] == "passed"
    assert set(endings.values()) == {"passed", "skipped"}


def test_it_is_listed_and_builds_a_network_of_its_op(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    (tmp_path / "two.yaml").write_text(SPEC)

    def archspec(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "archspec", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    backends = json.loads(archspec("backends", "--format", "json"))
    assert "fresh" in [backend["name"] for backend in backends]
    archspec("build", "two.yaml", "--backend", "fresh", "-o", "net", "--quiet")
    text = (tmp_path / "net" / "model.py").read_text()
    assert 'v["first"] = linear(v["input"], w["first.weight"], w["first.bias"])' in text
    archspec("verify", "two.yaml", "--backends", "fresh", "--mode", "eval,train")


def test_its_gaps_are_every_other_op() -> None:
    gaps = package_files("fresh")["archspec_fresh/gaps.py"]
    for kind in OPS:
        assert (f'"{kind}": "not lowered yet",' in gaps) == (kind != LOWERED)


@pytest.mark.parametrize(
    "command", [["check", "--select", "E,F,I,B,UP,W"], ["format", "--check"]], ids=" ".join
)
def test_its_files_are_neat(project: Path, command: list[str]) -> None:
    options = ["--isolated", "--line-length", "100", "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, *options],
        cwd=project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--backend", "fresh"]) == 0
    assert "archspec-fresh\n" in capsys.readouterr().out
    written = {path: path.read_bytes() for path in tmp_path.rglob("*.py")}
    assert len(written) > 5
    assert main(["init", "--backend", "fresh"]) == 1
    assert "`archspec-fresh` is there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.py")} == written


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch", "the backend `torch` is installed already"),
        ("Mine", "`Mine` cannot be the name of a backend"),
        ("a-b", "`a-b` cannot be the name of a backend"),
        ("../x", "`../x` cannot be the name of a backend"),
        ("", "`` cannot be the name of a backend"),
    ],
)
def test_a_name_that_no_backend_can_have(
    name: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--backend", name]) == 2
    assert message in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_something_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 2
    assert "there is no file to write" in capsys.readouterr().err
