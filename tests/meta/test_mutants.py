"""The runner of mutants: it names the survivors, and refuses an entry that no longer fits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants.catalogue import Mutant, MutantError, read_mutants
from tests.mutants.run import ROOT, check_baseline, run_mutants

DOUBLE = Mutant(
    room="toy",
    name="double adds one",
    file="backends/thing.py",
    old="2 * x",
    new="1 + x",
    tests=("tests/test_thing.py",),
    why="a product is not a sum",
)
NOTHING = replace(DOUBLE, name="nothing changes", new="2 * x")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of one module and its test."""
    for folder in ("backends", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "backends/thing.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "tests/test_thing.py").write_text(
        "from thing import double\n\n\ndef test_double():\n    assert double(3) == 6\n"
    )
    return tmp_path


def test_a_mistake_is_killed_and_a_mutant_that_changes_nothing_survives(root: Path) -> None:
    outcomes = run_mutants([DOUBLE, NOTHING, DOUBLE], jobs=2, root=root)
    assert [outcome.verdict for outcome in outcomes] == ["killed", "survived", "killed"]
    assert "1 passed" in outcomes[1].output
    assert "2 * x" in (root / "backends/thing.py").read_text()


def test_a_mutant_whose_tests_do_not_run_is_broken(root: Path) -> None:
    (root / "tests/test_none.py").write_text("")
    (outcome,) = run_mutants([replace(DOUBLE, tests=("tests/test_none.py",))], root=root)
    assert outcome.verdict == "broken"


def test_tests_that_fail_anyway_are_told(root: Path) -> None:
    assert check_baseline([DOUBLE], root) == ""
    (root / "tests/test_thing.py").write_text("def test_double():\n    assert False\n")
    assert "1 failed" in check_baseline([DOUBLE], root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"old": "3 * x"}, "`old` occurs 0 times in backends/thing.py, expected once"),
        ({"old": "x"}, "`old` occurs 2 times"),
        ({"file": "backends/other.py"}, "there is no backends/other.py"),
        ({"tests": ("tests/test_gone.py::test_it",)}, "there is no tests/test_gone.py"),
    ],
)
def test_an_entry_that_does_not_fit_is_an_error(
    root: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(MutantError, match=message):
        run_mutants([replace(DOUBLE, **changes)], root=root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[mutant]]\nname = "x"\n', "an entry has the keys"),
        (2 * '[[mutant]]\nname="x"\nfile=""\nold=""\nnew=""\ntests=[]\nwhy=""\n', "two entries"),
    ],
)
def test_a_file_of_entries_is_checked(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "toy.toml").write_text(text)
    with pytest.raises(MutantError, match=message):
        read_mutants(tmp_path)


def test_every_entry_fits_the_code_and_changes_it() -> None:
    mutants = read_mutants()
    assert len(mutants) >= 60
    for mutant in mutants:
        assert mutant.mutated(ROOT) != (ROOT / mutant.file).read_text(encoding="utf-8"), mutant
        assert mutant.tests, mutant


def test_the_command_lists_what_it_would_run() -> None:
    command = [sys.executable, "-m", "tests.mutants", "--list", "ops: lrn"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (listed.returncode, listed.stdout) == (0, "ops: lrn multiplies alpha undivided\n")
