"""What a run keeps outside its folder is gone however it ends, or is removed by the next run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from archspec._files import held_folder
from archspec.train import guard
from archspec.train.guard import SHARED_MEMORY, guarded_folder, remove_leftovers_of_runs

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="shared memory has no folder")

KILLED = """
import time
from archspec.train.data import Batches
from tests.unit.train.data.common import PLAIN, numbered

if __name__ == "__main__":
    made = Batches(numbered(4000), PLAIN, 1000, 0, workers=1).from_step(0)
    next(made)
    print("ready", flush=True)
    time.sleep(100)
"""


def shared_by(folder: Path) -> list[Path]:
    """The memory of its workers, and their semaphores."""
    return [
        path
        for names in (f"{folder.name}.*", f"sem.{folder.name}-*")
        for path in SHARED_MEMORY.glob(names)
    ]


def kinds(folder: Path) -> set[bool]:
    return {path.name.startswith("sem.") for path in shared_by(folder)}


def test_nothing_outlives_a_killed_process_group(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(KILLED)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "TMPDIR": str(temporary)}
    parent = subprocess.Popen(
        [sys.executable, program],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        (folder,) = temporary.glob("archspec-run-*")
        assert (folder / "make").exists()
        until = time.monotonic() + 10
        while len(kinds(folder)) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(kinds(folder)) == 2, "its workers have nothing ready"
        os.killpg(parent.pid, signal.SIGKILL)
    until = time.monotonic() + 15
    while (folder.exists() or shared_by(folder)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not folder.exists()
    assert not shared_by(folder)


def test_what_a_guard_that_was_killed_too_left_the_next_run_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", ".")
    monkeypatch.setattr(guard, "SHARED_MEMORY", tmp_path)
    left = Path("archspec-run-0123456789abcdef")
    left.mkdir()
    Path(left, "make").write_bytes(b"task")
    Path(f"{left}.one").write_bytes(b"12345")
    Path(f"sem.{left}-abcdefgh").touch()
    Path("psm_another").touch()
    Path("archspec-other").mkdir()
    Path("archspec-run-0123456789abcdee").symlink_to("archspec-other")
    with guarded_folder() as own, held_folder(Path("archspec-run-fedcba9876543210")) as other:
        Path(f"{own.name}.two").touch()
        notes = remove_leftovers_of_runs()
        assert own.is_dir()
        assert other.is_dir()
        assert Path(f"{own.name}.two").exists()
    assert notes == [
        f"note: removed `{left}` with 5 bytes of shared memory, which a killed run left"
    ]
    assert {path.name for path in tmp_path.iterdir()} == {
        "psm_another",
        "archspec-other",
        "archspec-run-0123456789abcdee",
    }
