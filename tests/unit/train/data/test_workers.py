"""Worker processes: the same batches in the same order, and no hang where one of them or their parent dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from archspec.diagnostics import Failure
from archspec.document import Preprocess
from archspec.picture import Unreadable
from archspec.recipe import Augment
from archspec.train.data import Batches, Prepare, open_data, whole
from archspec.train.data.source import Files
from tests.unit.train.data.common import PLAIN, numbered, picture
from tests.unit.train.data.test_batches import damaged, numbers, same

VARIED = Prepare(
    (1, 8, 8), Preprocess(channels="gray"), Augment(area=(0.3, 1.0), shift=1, contrast=0.4, interpolation="random")
)


def test_workers_make_what_one_process_makes() -> None:
    source = open_data("digits", held_out=0.9).train
    here, there = Batches(source, VARIED, 32, seed=3), Batches(source, VARIED, 32, seed=3, workers=2)
    made = there.at(here.steps - 2)  # into the second and third epoch
    for step in range(here.steps - 2, 2 * here.steps + 1):
        assert same(next(made), here[step]), step
    assert len(active_children()) == 2
    made.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert active_children() == []


def test_evaluation_ends_with_its_last_batch_and_tells_what_was_bad() -> None:
    found = list(whole(damaged(7, {1}), PLAIN, 3, workers=2, bad_data="skip"))
    assert [numbers(batch) for batch in found] == [[0, 2], [3, 4, 5], [6]]
    assert [batch.bad for batch in found] == [("x[1]",), (), ()]
    assert active_children() == []


def test_a_worker_that_is_killed_is_a_clear_error() -> None:
    made = Batches(numbered(8), PLAIN, 2, 0, workers=2).at(0)
    next(made)
    victim = active_children()[0].pid
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(Failure, match="a process that prepares the data was ended from outside"):
        list(islice(made, 50))
    assert time.monotonic() - began < 30
    assert active_children() == []


def test_a_bad_file_is_named_through_a_worker(tmp_path: Path) -> None:
    path = picture(tmp_path / "a" / "1.png")
    path.write_bytes(b"no picture")
    made = Batches(Files(tmp_path, ("a/1.png",), (0,)), Prepare((3, 8, 8), Preprocess()), 1, 0, workers=1).at(0)
    with pytest.raises(Unreadable, match=r"1\.png`: it is no picture"):
        next(made)
    assert active_children() == []


PROGRAM = """
import sys, time
from multiprocessing import active_children
from archspec.train.data import Batches
from tests.unit.train.data.common import PLAIN, numbered

if __name__ == "__main__":
    made = Batches(numbered(8), PLAIN, 2, 0, workers=2).at(0)
    next(made)
    print(*(child.pid for child in active_children()), flush=True)
    if sys.argv[1] == "wait":
        time.sleep(100)
"""


@pytest.mark.parametrize("end", ["wait", "leave"])
def test_workers_end_with_their_parent(tmp_path: Path, end: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    parent: Any
    with subprocess.Popen(
        [sys.executable, program, end],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    ) as parent:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        if end == "wait":
            parent.kill()
        else:
            assert parent.wait(30) == 0
    until = time.monotonic() + 20
    while any(map(_runs, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(_runs, workers))


def _runs(process: int) -> bool:
    """Whether it exists, and does not only wait for somebody to ask how it ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_without_grain_there_is_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(Failure, match="need grain, which is not installed; pip install 'archspec-nn") as caught:
        next(Batches(numbered(8), PLAIN, 2, 0, workers=1).at(0))
    assert caught.value.exit_code == 3
    assert len(next(Batches(numbered(8), PLAIN, 2, 0).at(0)).y) == 2
