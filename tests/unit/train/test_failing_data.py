"""Data that fail in training: what was trained is saved, and what nothing can be read of is left out."""

from __future__ import annotations

import errno
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archspec.cli import main
from archspec.compiler import load as load_spec
from archspec.diagnostics import Failure
from archspec.images import UnreadableSample
from archspec.train.checkpoint import Progress, checkpoint_path, list_checkpoints, read_checkpoint
from archspec.train.data import open_data
from archspec.train.data.batches import random_stream
from archspec.train.log import read_metrics
from archspec.train.loop import run_loop
from tests.unit.train.test_loop import SPEC, Batch, Feed, go_on, run, trainer

RUN = """archspec: 1
name: small
input: [3, 8, 8]
network: [{conv: {out: 4, kernel: 3}}, relu, global_avg_pool, flatten, {linear: {out: 2}}]
preprocess: {resize: 8}
train: {learning_rate: 0.1, epochs: 3, batch: 8}
"""


def same_tensors(one: Path, other: Path, step: int) -> bool:
    states = [read_checkpoint(checkpoint_path(path, step), SPEC.graph)[0] for path in (one, other)]
    first, second = (state.tensors for state in states)
    # The reference trainer computes in float64, and a checkpoint holds float32.
    return all(np.allclose(first[name], value, atol=1e-6) for name, value in second.items())


@pytest.mark.parametrize(
    "failure",
    [UnreadableSample("cannot read `cat.png`"), Failure("a worker ended"), OSError("unforeseen")],
)
def test_what_was_trained_before_is_saved_and_goes_on(failure: Exception, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()

    def fail(step: int) -> None:
        if step == 8:
            raise failure

    with pytest.raises(type(failure), match=str(failure)):
        run_loop(run(broken, Feed(then=fail)), trainer(), Progress())
    assert list_checkpoints(broken)[-1] == checkpoint_path(broken, 8)
    assert [line["step"] for line in read_metrics(broken)][-1] == 8
    run_loop(run(whole), trainer(), Progress())
    assert go_on(broken).finished
    assert same_tensors(whole, broken, 15)


def test_a_log_that_cannot_be_written_ends_a_run_that_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(self: Path, *given: Any, **options: Any) -> Any:
        if self.name == "metrics.jsonl" and "a" in given and len(read_metrics(tmp_path)) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(Failure, match=r"metrics\.jsonl`: no space left"):
            run_loop(run(tmp_path), trainer(), Progress())
    assert list_checkpoints(tmp_path)[-1] == checkpoint_path(tmp_path, 8)
    assert go_on(tmp_path).finished


def test_steps_that_nothing_can_be_read_of_change_nothing_and_are_counted(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()

    class Gaps(Feed):
        def from_step(self, step: int) -> Generator[Batch]:
            for at, batch in enumerate(super().from_step(step), step):
                empty = Batch(batch.x[:0], batch.y[:0], ("a.png", "b.png"))
                yield empty if at in (2, 3, 9) else batch

    told: list[Any] = []
    mine = trainer()
    assert run_loop(run(broken, Gaps(), on_event=told.append), mine, Progress()).finished
    assert mine.save().updates == 12
    assert [t["step"] for t in told if t["kind"] == "left_out"] == [3, 4, 10]
    lines = read_metrics(broken)
    counts = {line["step"]: line["left_out"] for line in lines if "left_out" in line}
    assert counts == {5: 2, 10: 1}
    assert not any(line["step"] == 4 for line in lines)


def test_an_epoch_that_nothing_can_be_read_of_ends_the_run(tmp_path: Path) -> None:
    class Gone(Feed):
        def from_step(self, step: int) -> Generator[Batch]:
            for at, batch in enumerate(super().from_step(step), step):
                yield batch if at < 3 else Batch(batch.x[:0], batch.y[:0], ("a.png",))

    with pytest.raises(Failure, match="no sample of the last 5 steps can be read, as `a.png`"):
        run_loop(run(tmp_path, Gone()), trainer(), Progress())


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nine training images in batches of eight: the last batch has one."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(RUN)
    for part, count in (("train", 9), ("val", 2)):
        for number in range(count):
            folder = Path("d", part, "ab"[number % 2])
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8 + number), (25 * number, 0, 0)).save(folder / f"{number}.png")
    return tmp_path


def alone_in_a_batch(epoch: int) -> Path:
    data = open_data("d")
    image: Any = data.train[int(random_stream(0, epoch).permutation(9)[-1])].image
    return image


TRAIN = ["train", "small.yaml", "--data", "d", "-o", "run"]


@pytest.mark.usefixtures("images")
def test_a_sample_alone_in_its_batch_is_skipped_too(capsys: pytest.CaptureFixture[str]) -> None:
    bad = alone_in_a_batch(epoch=1)
    bad.write_bytes(bad.read_bytes()[:50])
    assert main([*TRAIN, "--bad-data", "skip"]) == 0
    err = capsys.readouterr().err
    assert f"cannot read {bad.relative_to('d')}" in err
    assert "step 4 is left out: none of its samples can be read" in err


@pytest.mark.usefixtures("images")
def test_a_bad_sample_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    bad = alone_in_a_batch(epoch=0)
    bad.write_bytes(bad.read_bytes()[:50])
    assert main(TRAIN) == 1
    error = capsys.readouterr().err
    assert f"error: cannot read `{bad}`" in error
    assert "`--bad-data skip` trains without it, and with --resume goes on" in error
    assert "`archspec data check d` lists all" in error
    graph = load_spec("small.yaml").graph
    assert read_checkpoint(list_checkpoints(Path("run"))[-1], graph)[1].step == 1
    assert main([*TRAIN, "--bad-data", "skip", "--resume"]) == 0
    assert np.isfinite(
        [line["losses"]["loss"] for line in read_metrics(Path("run")) if "losses" in line]
    ).all()
