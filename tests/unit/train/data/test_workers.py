"""Worker processes: the same batches in the same order, and no hang where one of them or their parent dies."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from itertools import islice
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from archspec.cli import main
from archspec.diagnostics import Failure, MissingPackage, UsageError
from archspec.images import UnreadableSample
from archspec.ir.document import Preprocess
from archspec.ir.recipe import Augment
from archspec.train.data import Batches, InputTransform, evaluation_batches, open_data
from archspec.train.data.source import FileSource
from archspec.train.data.workers import map_steps
from tests.unit.train.data.common import PLAIN, image_file, numbered
from tests.unit.train.data.test_batches import damaged, numbers, same

VARIED = InputTransform(
    (1, 8, 8),
    Preprocess(channels="gray"),
    Augment(area=(0.3, 1.0), shift=1, contrast=0.4, interpolation="random"),
)


def test_workers_make_what_one_process_makes() -> None:
    source = open_data("digits", val_split=0.9).train
    here, there = (
        Batches(source, VARIED, 32, seed=3),
        Batches(source, VARIED, 32, seed=3, workers=2),
    )
    made = there.from_step(here.steps - 2)  # into the second and third epoch
    for step in range(here.steps - 2, 2 * here.steps + 1):
        assert same(next(made), here[step]), step
    assert len(active_children()) == 2
    made.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert active_children() == []


def test_evaluation_ends_with_its_last_batch_and_tells_what_was_bad() -> None:
    found = list(evaluation_batches(damaged(7, {1}), PLAIN, 3, workers=2, bad_data="skip"))
    assert [numbers(batch) for batch in found] == [[0, 2], [3, 4, 5], [6]]
    assert [batch.bad for batch in found] == [("x[1]",), (), ()]
    assert active_children() == []


def test_a_worker_that_is_killed_is_a_clear_error() -> None:
    made = Batches(numbered(8), PLAIN, 2, 0, workers=2).from_step(0)
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
    path = image_file(tmp_path / "a" / "1.png")
    path.write_bytes(b"no image")
    made = Batches(
        FileSource(tmp_path, ("a/1.png",), (0,)),
        InputTransform((3, 8, 8), Preprocess()),
        1,
        0,
        workers=1,
    ).from_step(0)
    with pytest.raises(UnreadableSample, match=r"1\.png`: not a readable image"):
        next(made)
    assert active_children() == []


PROGRAM = """
import sys, time
from multiprocessing import active_children
from archspec.train.data import Batches
from tests.unit.train.data.common import PLAIN, numbered

if __name__ == "__main__":
    made = Batches(numbered(8), PLAIN, 2, 0, workers=2).from_step(0)
    next(made)
    print(*(child.pid for child in active_children()), flush=True)
    if sys.argv[1] == "wait":
        time.sleep(100)
"""


@pytest.mark.parametrize("end", ["wait", "leave"])
def test_workers_end_with_their_parent(tmp_path: Path, end: str) -> None:
    parent: Any
    with _program(tmp_path, PROGRAM, end) as parent:
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        if end == "wait":
            parent.kill()
        else:
            assert parent.wait(30) == 0
    assert _have_ended(workers)


STARTING = """
import signal, sys
from contextlib import nullcontext
from archspec.diagnostics import Failure
from archspec.train.data import Batches
from archspec._signals import record_signals
from tests.unit.train.data.common import PLAIN, numbered

if __name__ == "__main__":
    seen = []
    made = Batches(numbered(100_000), PLAIN, 2, None, workers=2).from_step(0)  # more than the pipe holds that starts a worker
    print("starting", flush=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background may have lost
    with record_signals(seen) if sys.argv[1] == "trains" else nullcontext():
        try:
            print([next(made).y.tolist() for _ in range(3)], len(seen), flush=True)
        except Failure as error:
            print(error.message, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        made.close()
"""


@pytest.mark.parametrize(
    ("what", "send", "told"),
    [
        ("trains", signal.SIGTERM, "[[0, 1], [2, 3], [4, 5]] 1"),
        ("trains", signal.SIGINT, "[[0, 1], [2, 3], [4, 5]] 1"),
        ("reads", signal.SIGINT, "interrupted"),
        ("trains", signal.SIGKILL, "a process that prepares the data was ended from outside"),
    ],
)
def test_a_signal_while_workers_start_is_no_hang(
    tmp_path: Path, what: str, send: signal.Signals, told: str
) -> None:
    """To all of the group, but a kill, which is to one of them."""
    parent: Any
    with _program(tmp_path, STARTING, what) as parent:
        workers: list[int] = []
        while len(workers) < (1 if send == signal.SIGKILL else 2):
            assert parent.poll() is None
            time.sleep(0.005)
            workers = _spawned(parent.pid)
        if send == signal.SIGKILL:
            os.kill(workers[0], send)
        else:
            os.killpg(parent.pid, send)
        try:
            out, _ = parent.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(parent.pid, signal.SIGKILL)
            raise
        assert out.splitlines() == ["starting", told]
    assert _have_ended(workers)


def _stuck(step: int) -> tuple[int]:
    time.sleep(100 * step)
    return (step,)


def test_a_worker_that_is_stuck_is_not_waited_for() -> None:
    made: Any = map_steps(_stuck, range(3), 1)
    assert next(made) == (0,)
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 30
    assert active_children() == []


def _program(folder: Path, text: str, *args: str) -> Any:
    """Runs a program, as the leader of a group of processes."""
    path = folder / "program.py"
    path.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, path, *args]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def _spawned(parent: int) -> list[int]:
    """The workers that it has started, from their first moment on."""
    found: list[int] = []
    for children in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in children.read_text().split() if _is_worker(child)]
    return found


def _is_worker(process: str) -> bool:
    return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()


def _have_ended(workers: list[int]) -> bool:
    until = time.monotonic() + 20
    while any(map(_runs, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    return not any(map(_runs, workers))


def _runs(process: int) -> bool:
    """Whether it exists, and does not only wait for somebody to ask how it ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("command", [["data", "check"], ["train", "x.yaml", "--data"], ["eval"]])
def test_more_workers_than_can_be_meant_are_wrong_usage(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "digits", "--workers", "100000"]) == 2
    assert "--workers is at least 0 and here at most" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "cannot allocate"),
        (MemoryError(), "not enough"),
    ],
)
def test_workers_that_the_system_refuses_are_wrong_usage(
    error: Exception, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("multiprocessing.context.SpawnContext.Event", refuse)
    with pytest.raises(UsageError, match=f"2 worker processes cannot be started: {why}"):
        next(Batches(numbered(8), PLAIN, 2, 0, workers=2).from_step(0))


def test_without_grain_there_is_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(
        Failure, match="need grain, which is not installed; pip install 'archspec-nn"
    ) as caught:
        next(Batches(numbered(8), PLAIN, 2, 0, workers=1).from_step(0))
    assert isinstance(caught.value, MissingPackage)
    assert len(next(Batches(numbered(8), PLAIN, 2, 0).from_step(0)).y) == 2
