"""Runs mutants, several at a time, each in a copy of the tree.

A mutant is killed if pytest reports a failed test. Its tests also run without the mistake: tests
that fail anyway kill nothing.
"""

from __future__ import annotations

import compileall
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Literal

from tests.mutants.catalogue import Mutant

ROOT = Path(__file__).parents[2]
TREE = ("archspec", "backends", "benchmarks", "docs", "specs", "tests", "pyproject.toml")
"""What a copy holds of the tree."""

TIMEOUT = 600
"""Seconds; a mistake may make a test run for ever, which kills the mutant."""

FAILED, ALL_PASSED = 1, 0
"""Exit codes of pytest; every other one means that the tests did not run."""

Verdict = Literal["killed", "survived", "broken"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on a mutant; `output` is pytest's, for one that was not killed."""

    mutant: Mutant
    verdict: Verdict
    output: str = ""


def run_mutants(
    mutants: Sequence[Mutant],
    jobs: int = 1,
    root: Path = ROOT,
    on_outcome: Callable[[Outcome], object] = lambda outcome: None,
) -> list[Outcome]:
    """Run every mutant against its tests. Raise `MutantError` first if any does not fit the
    code.
    """
    texts = [mutant.mutated(root) for mutant in mutants]
    with _copies(root, min(jobs, len(mutants)) or 1) as copies:

        def task(mutant: Mutant, text: str) -> Outcome:
            copy = copies.get()
            try:
                outcome = _try(copy, mutant, text)
            finally:
                copies.put(copy)
            on_outcome(outcome)
            return outcome

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(task, mutants, texts))


def check_baseline(mutants: Sequence[Mutant], root: Path = ROOT) -> str:
    """Run the tests of these mutants on the code as it is; return pytest's output if any fails."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    with _copies(root, 1) as copies:
        code, output = _pytest(copies.get(), tests, timeout=None)
    return "" if code == ALL_PASSED else output


@contextmanager
def _copies(root: Path, count: int) -> Generator[queue.Queue[Path]]:
    """Yield a queue of that many copies of the tree."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies: queue.Queue[Path] = queue.Queue()
        for index in range(count):
            copies.put(_copy(root, Path(folder) / f"{index}"))
        yield copies


def _copy(root: Path, target: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for name in TREE:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        elif source.exists():
            target.mkdir(exist_ok=True)
            shutil.copy(source, target / name)
    for name in ("archspec", "backends"):
        # Bytecode that goes by a source's hash: one by its time could outlive a quick change.
        mode = PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(str(target / name), quiet=2, invalidation_mode=mode)
    return target


def _try(copy: Path, mutant: Mutant, text: str) -> Outcome:
    path = copy / mutant.file
    before = path.read_bytes()
    path.write_text(text, encoding="utf-8")
    try:
        code, output = _pytest(copy, mutant.tests, TIMEOUT)
    finally:
        path.write_bytes(before)
    if code == FAILED:
        return Outcome(mutant, "killed")
    return Outcome(mutant, "survived" if code == ALL_PASSED else "broken", output)


def _pytest(copy: Path, tests: Sequence[str], timeout: float | None) -> tuple[int, str]:
    """Return the exit code and the output; a run that has to be stopped counts as failed."""
    paths = os.pathsep.join([str(copy), str(copy / "backends")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        result = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return FAILED, "stopped: it took too long"
    return result.returncode, result.stdout + result.stderr
