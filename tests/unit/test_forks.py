"""A forked process that ends on its own cleans up nothing of its parent's, and holds none of its locks."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from archspec._files import atomic_file, folder_lock, scratch_folder, staging_folder
from tests.helpers import forked
from tests.helpers.time_limit import time_limit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

BUILDS = """
import inspect, os, sys, tempfile
from pathlib import Path

import archspec

tempfile.tempdir = sys.argv[2]
archspec.build("lenet5")
if (child := os.fork()) == 0:
    if sys.argv[1] == "builds":
        archspec.build("lenet5")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
model = archspec.build("lenet5")
assert inspect.getsource(type(model))
print(len([*Path(tempfile.gettempdir()).iterdir()]))
"""


@pytest.mark.parametrize("does", ["ends", "builds"])
def test_a_parent_builds_on_and_both_leave_nothing(tmp_path: Path, does: str) -> None:
    command = [sys.executable, "-c", BUILDS, does, str(tmp_path)]
    done = forked.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"  # that of the parent
    assert not [*tmp_path.iterdir()]


def ends_as_a_script_does() -> None:
    """Fork a process that unwinds all blocks, as an exception or sys.exit does in a script."""
    if (child := os.fork()) == 0:
        raise SystemExit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_what_is_staged_stays_until_its_own_process_is_done(tmp_path: Path) -> None:
    owner = os.getpid()
    try:
        with (
            atomic_file(tmp_path / "a.txt") as file,
            staging_folder(tmp_path / "net") as staging,
            scratch_folder() as scratch,
        ):
            file.write(b"whole")
            ends_as_a_script_does()
            assert staging.exists()
            assert scratch.exists()
    except BaseException:
        if os.getpid() != owner:  # the forked process, which must not go on with the tests
            os._exit(0)
        raise
    assert (tmp_path / "a.txt").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert not scratch.exists()


def test_a_lock_is_neither_given_up_by_a_forked_process_nor_kept(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with folder_lock(tmp_path):
        if (child := os.fork()) == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent ends, and the test lets this one
            os._exit(0)
        with pytest.raises(BlockingIOError), folder_lock(tmp_path, wait=False):
            pass
        held = os.fork()
        if held == 0:
            os._exit(0)
        os.waitpid(held, 0)
        with pytest.raises(BlockingIOError), folder_lock(tmp_path, wait=False):
            pass
    with time_limit(20), folder_lock(tmp_path, wait=False):
        pass
    os.close(writing)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
