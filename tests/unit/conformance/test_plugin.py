"""The pytest plugin in a third party's project: its options, named files, regressions."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from archspec.conformance.plugin import SUITE
from archspec.conformance.suite.networks import KEPT, SHARDS
from archspec.conformance.traps import TRAPS
from archspec.ops import OPS
from tests.helpers import forked
from tests.helpers.installed import broken, installed


@pytest.fixture(autouse=True)
def _broken(tmp_path: Path) -> Generator[None]:
    folder = tmp_path / "backends"
    folder.mkdir()
    with installed(folder, "leaky", broken("leaky", "{'slope': 0.3}")):
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = ["-p", "no:cacheprovider"]\n'
    )
    (folder / "test_own.py").write_text("def test_own(): pass\n")
    return folder


def pytest_in(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    found = forked.run(command, cwd=folder, capture_output=True, text=True)
    return found.returncode, found.stdout.splitlines()


def test_without_the_option_nothing_is_added(project: Path) -> None:
    assert pytest_in(project, "--collect-only")[1][0] == "test_own.py::test_own"
    assert pytest_in(project)[1][-1].startswith("1 passed")


def test_with_it_the_whole_suite_is_added_for_each_target(project: Path) -> None:
    code, lines = pytest_in(
        project, "--collect-only", "--archspec-backend=torch", "--archspec-backend=leaky"
    )
    assert code == 0
    names = [line.partition("::")[2] for line in lines if "::" in line]
    assert "test_own" in names
    for target in ("torch", "leaky"):
        assert {f"test_trap[{target}-{trap}]" for trap in TRAPS} <= set(names)
        assert {f"test_layer[{target}-{kind}]" for kind in OPS} <= set(names)
        assert f"test_every_op_is_lowered_or_a_gap[{target}]" in names
    assert sum(name.startswith("test_fresh_networks") for name in names) == SHARDS
    assert sum(name.startswith("test_kept_network") for name in names) == len(KEPT)


def test_one_line_of_configuration_is_enough(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = "--archspec-backend=leaky"\n'
    )
    lines = pytest_in(project, "--collect-only")[1]
    assert any("test_trap[leaky-" in line for line in lines)


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_where_the_tests_of_a_project_lie_around_the_suite_it_is_run_all_the_same(
    project: Path, workers: list[str]
) -> None:
    around = (
        f'testpaths = ["test_own.py", "{SUITE.parent}"]\naddopts = "--archspec-backend=leaky"\n'
    )
    (project / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{around}")
    lines = pytest_in(project, *workers, "-k", "test_own or gap_has or trap and gelu_is")[1]
    assert lines[-1].startswith("3 passed")


def test_files_that_are_named_are_run_alone(project: Path) -> None:
    lines = pytest_in(project, "test_own.py", "--archspec-backend=torch")[1]
    assert lines[-1].startswith("1 passed")


def test_a_backend_that_is_wrong_fails_on_what_is_wrong_alone(project: Path) -> None:
    code, lines = pytest_in(
        project,
        "--archspec-backend=leaky",
        "-k",
        "test_trap and (leaky_relu or elu_has or gelu_is)",
    )
    assert code == 1
    failed = [line for line in lines if line.startswith("FAILED")]
    assert len(failed) == 1
    assert "test_trap[leaky-leaky_relu_has_slope_one_hundredth]" in failed[0]


def test_a_backend_that_is_unknown_is_named(project: Path) -> None:
    code, lines = pytest_in(project, "--archspec-backend=leeky", "-k", "test_trap and gelu_is")
    assert code == 1
    assert any("unknown backend `leeky`" in line for line in lines)


def test_regressions_are_replayed(project: Path) -> None:
    kept = project / "kept"
    kept.mkdir()
    head = "archspec: 1\nname: net\ninput: [2, 2]\n"
    (kept / "a.yaml").write_text(f"{head}network: [{{leaky_relu: ~}}]\n")
    (kept / "b.yaml").write_text(f"{head}network: [elu]\n")
    arguments = ("--archspec-backend=leaky", "--archspec-regressions=kept", "-k", "test_regression")
    code, lines = pytest_in(project, *arguments)
    assert code == 1
    assert lines[-1].startswith("1 failed, 1 passed")
    assert any(line.startswith("FAILED") and "test_regression[a]" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "count"),
    [([], 100), (["--archspec-profile=default"], 100), (["--archspec-profile=quick"], 10)],
)
def test_a_profile_sets_how_long_the_suite_searches(
    project: Path, options: list[str], count: int
) -> None:
    (project / "test_own.py").write_text(
        "from archspec.conformance.profile import examples\n\n"
        f"def test_own():\n    assert examples(100).max_examples == {count}\n"
    )
    assert pytest_in(project, "test_own.py", *options)[1][-1].startswith("1 passed")


def test_a_profile_that_is_unknown_is_wrong_usage(project: Path) -> None:
    assert pytest_in(project, "--archspec-profile=hasty")[0] == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("test", ["test_layer and leaky_relu", "test_regression"])
def test_a_failure_shows_the_smallest_spec_first_and_no_frames(project: Path, test: str) -> None:
    kept = project / "kept"
    kept.mkdir()
    (kept / "a.yaml").write_text(
        "archspec: 1\nname: net\ninput: [2, 2]\nnetwork: [{leaky_relu: ~}]\n"
    )
    arguments = ("--archspec-backend=leaky", "--archspec-regressions=kept", "-k", test)
    code, lines = pytest_in(project, "--archspec-profile=quick", *arguments)
    assert code == 1
    start = next(at for at, line in enumerate(lines) if line.startswith("____"))
    text = "\n".join(lines[start:])
    assert "with seed" in lines[start + 1]
    assert lines[start + 3] == "archspec: 1"
    assert text.index("leaky_relu:") < text.index("leaky, eval: ")
    assert "Traceback" not in text
    assert "hypothesis/" not in text
