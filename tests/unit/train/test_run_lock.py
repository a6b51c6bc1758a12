"""Entering a run's folder: one process at a time, and nothing that would be refused at the end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from archspec.diagnostics import Failure
from archspec.train import run
from archspec.train.checkpoint import list_checkpoints
from archspec.train.run_lock import lock_folder

SPEC = """archspec: 1
name: small
input: [1, 8, 8]
network: [{name: conv, conv: {out: 4, kernel: 3}}, relu, global_avg_pool, flatten, {name: fc, linear: {out: 3}}]
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.5, epochs: 2, batch: 16}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SPEC)
    rng = np.random.default_rng(0)
    np.savez("noise.npz", x=rng.integers(0, 256, (40, 8, 8), np.uint8), y=np.arange(40) % 3)


def trained(*more: str) -> int:
    return main(["train", "small.yaml", "--data", "noise.npz", "-o", "run", "--quiet", *more])


def broken(*_: Any) -> None:
    raise Failure("there is not enough memory")


def test_one_run_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained() == 0
    with lock_folder(Path("run")):
        assert trained("--resume", "--set", "train.epochs=3") == 1
    assert "another process trains into `run`" in capsys.readouterr().err
    assert trained("--resume", "--set", "train.epochs=3") == 0


def test_a_folder_that_stays_empty_is_not_left() -> None:
    with pytest.raises(Failure, match="no"), lock_folder(Path("new")):
        raise Failure("no")
    assert not Path("new").exists()
    with lock_folder(Path("new")):
        Path("new/kept").touch()
    assert Path("new/kept").exists()


def test_a_build_that_was_changed_is_said_before_it_trains(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert trained() == 0
    with Path("run/model.py").open("a") as file:
        file.write("# mine\n")
    before = list_checkpoints(Path("run"))
    assert trained("--resume", "--set", "train.epochs=3") == 1
    assert "`model.py` in `run` changed since the build" in capsys.readouterr().err
    assert list_checkpoints(Path("run")) == before
    Path("run/model.py").unlink()
    assert trained("--resume", "--set", "train.epochs=3") == 0


def test_a_run_that_failed_before_it_could_say_what_it_is_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise Failure("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_run_info", full)
        assert trained() == 1
    assert not Path("run/run.json").exists()
    assert trained() == 1  # it is not told from a build of the user's own
    assert trained("--resume") == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "preprocess.invert=true"], "trained with another `preprocess`"),
        (["--set", "conv.out=5"], "trained as another network"),
    ],
)
def test_what_a_run_was_does_not_change(
    more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained() == 0
    assert trained("--resume", *more) == 1
    assert message in capsys.readouterr().err


def test_a_run_that_was_broken_off_does_not_pass_for_a_trained_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (8, 8)).save("black.png")
    with monkeypatch.context() as patch:
        patch.setattr(run, "run_loop", broken)
        assert trained() == 1
    assert main(["run", "run", "black.png"]) == 0
    assert "training was interrupted" in capsys.readouterr().err
    assert trained("--resume") == 0
    assert main(["run", "run", "black.png"]) == 0
    assert "interrupted" not in capsys.readouterr().err
    Path("run/run.json").write_text("of something else")
    assert main(["run", "run", "black.png"]) == 0


def test_before_its_first_checkpoint_a_run_may_begin_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run, "run_loop", broken)
        assert trained() == 1
    assert trained("--resume", "--set", "train.batch=8") == 0


def test_weights_to_begin_with_are_said_to_be_of_no_use_later(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert trained() == 0
    assert (
        main(
            [
                "train",
                "small.yaml",
                "--data",
                "noise.npz",
                "-o",
                "run",
                "--resume",
                "--weights",
                "nowhere",
            ]
        )
        == 0
    )
    assert (
        "`nowhere` is ignored: the run resumes from its own checkpoint" in capsys.readouterr().err
    )


def test_a_log_that_cannot_be_read_is_not_begun_anew(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained() == 0
    with Path("run/metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n")
    assert trained("--resume", "--set", "train.epochs=3") == 0
    assert Path("run/metrics.jsonl").read_text().count("validation") >= 3
    Path("run/metrics.jsonl").unlink()
    Path("run/metrics.jsonl").mkdir()
    assert trained("--resume", "--set", "train.epochs=4") == 1
    assert "cannot read `run/metrics.jsonl`" in capsys.readouterr().err


def test_a_number_of_processes_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "abc")
    assert trained() == 2
    assert "WORLD_SIZE is `abc`" in capsys.readouterr().err


def test_a_second_notice_while_the_model_is_written_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def written(*given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return table(*given)

    table = run.write_table
    monkeypatch.setattr(run, "write_table", written)
    assert trained() == 0
    assert Path("run/best.safetensors").exists()
    assert Path("run/curves.svg").exists()
