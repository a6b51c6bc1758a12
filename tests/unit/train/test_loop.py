"""The loop: what it records and keeps, how it stops, and that it resumes as if nothing had happened."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend.trainer import TrainerConfig, TrainState
from archspec.diagnostics import Failure
from archspec.images import UnreadableSample
from archspec.ir.recipe import Recipe, Schedule
from archspec.reference.trainer import ReferenceTrainer
from archspec.train import loop
from archspec.train.checkpoint import (
    Progress,
    checkpoint_path,
    last_checkpoint,
    list_checkpoints,
    read_checkpoint,
)
from archspec.train.log import read_metrics
from archspec.train.loop import LoopConfig, run_loop
from archspec.weights.checkpoint import load_tensors as load_weights
from archspec.weights.init import initial_tensors
from tests.helpers.specs import checked

SPEC = checked("""archspec: 1
name: net
input: [4]
network: [{name: one, linear: {out: 5}}, {name: bn, batch_norm: }, tanh, {name: two, linear: {out: 3}}]
""")
RECIPE = Recipe(
    learning_rate=0.1,
    epochs=3,
    batch=4,
    momentum=0.9,
    average="polyak",
    schedule=Schedule(kind="cosine", warmup=1),
)


@dataclass(frozen=True)
class Batch:
    x: Any
    y: Any
    bad: tuple[str, ...] = ()


@dataclass
class Feed:
    """Five batches an epoch, each made from its step alone; `then` is called before each."""

    steps: int = 5
    then: Any = None
    seen: list[int] = field(default_factory=list[int])

    def from_step(self, step: int) -> Generator[Batch]:
        while True:
            if self.then is not None:
                self.then(step)
            self.seen.append(step)
            rng = np.random.default_rng(step)
            yield Batch(rng.standard_normal((4, 4)).astype(np.float32), rng.integers(0, 3, 4))
            step += 1


def validation() -> Generator[Batch]:
    yield from (batch for batch, _ in zip(Feed().from_step(100), range(2), strict=False))


def run(folder: Path, feed: Feed | None = None, **options: Any) -> LoopConfig:
    return LoopConfig(SPEC, RECIPE, folder, feed or Feed(), validation, log_every=2, **options)


def trainer(recipe: Recipe = RECIPE) -> ReferenceTrainer:
    return ReferenceTrainer(TrainerConfig(SPEC.graph, recipe), initial_tensors(SPEC.graph, 0))


def go_on(folder: Path, **options: Any) -> Any:
    """What a resumed run does."""
    found = last_checkpoint(folder, SPEC.graph, pytest.fail)
    fresh, place = trainer(), Progress()
    if found:
        fresh.restore(found[0])
        place = found[1]
    return run_loop(run(folder, **options), fresh, place)


def test_it_follows_the_recipe_to_its_end_and_keeps_the_last_and_the_best(tmp_path: Path) -> None:
    told: list[Any] = []
    feed = Feed()
    outcome = run_loop(run(tmp_path, feed, on_event=told.append), trainer(), Progress())
    assert outcome.finished
    assert outcome.progress.step == 15
    assert feed.seen == list(range(15))
    best = outcome.progress.best_step
    assert best in (5, 10, 15)
    assert list_checkpoints(tmp_path) == sorted(
        {checkpoint_path(tmp_path, step) for step in (10, 15, best)}
    )
    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines if line["kind"] == "train"] == [
        2,
        4,
        5,
        6,
        8,
        10,
        12,
        14,
        15,
    ]
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [5, 10, 15]
    rates = {line["step"]: line["learning_rate"] for line in lines if line["kind"] == "train"}
    assert rates == {step: RECIPE.learning_rate_at(step - 1, 5) for step in rates}
    assert [one["step"] for one in told if one["kind"] == "step"] == list(range(1, 16))
    assert [(one["step"], one["kind"]) for one in told if one["kind"] != "step"] == [
        (line["step"], line["kind"]) for line in lines
    ]
    top = max(line["top1"] for line in lines if line["kind"] == "validation")
    assert outcome.progress.best == top


def test_the_scores_are_those_of_the_average(tmp_path: Path) -> None:
    mine = trainer()
    run_loop(run(tmp_path), mine, Progress())
    standing, place = read_checkpoint(checkpoint_path(tmp_path, 15), SPEC.graph)
    hits = sum(int((mine.predict(b.x).argmax(1) == b.y).sum()) for b in validation())
    assert place.scores["top1"] == hits / 8
    assert set(standing.average) == set(standing.tensors)


def test_a_checkpoint_is_one_that_any_command_takes(tmp_path: Path) -> None:
    mine = trainer()
    run_loop(run(tmp_path), mine, Progress())
    tensors = load_weights(checkpoint_path(tmp_path, 15), SPEC.graph)
    assert all((tensors[k] == v.astype(np.float32)).all() for k, v in mine.save().tensors.items())


@pytest.mark.parametrize("stop", [1, 4, 5, 7, 13])
@pytest.mark.parametrize("save_every", [None, 3])
def test_interrupted_it_saves_and_goes_on_as_if_nothing_had_been(
    stop: int, save_every: int | None, tmp_path: Path
) -> None:
    def interrupt(step: int) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    # A checkpoint rounds to float32: both round at the same steps, so that they can be equal.
    first = run_loop(
        run(broken, Feed(then=interrupt), save_every=save_every), trainer(), Progress()
    )
    assert not first.finished
    assert first.progress.step == stop
    second = go_on(broken, save_every=save_every)
    assert second.finished
    run_loop(run(whole, save_every=save_every), trainer(), Progress())
    one, other = (
        read_checkpoint(checkpoint_path(folder, 15), SPEC.graph) for folder in (whole, broken)
    )
    assert one[1].step == other[1].step == 15
    for name, value in one[0].tensors.items():
        np.testing.assert_allclose(other[0].tensors[name], value, rtol=1e-5, atol=1e-6)
    steps = [line["step"] for line in read_metrics(broken) if line["kind"] == "validation"]
    assert steps == [5, 10, 15]


def test_reports_of_steps_that_are_taken_again_are_dropped(tmp_path: Path) -> None:
    def die(step: int) -> None:
        if step == 8:
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        run_loop(run(tmp_path, Feed(then=die)), trainer(), Progress())
    assert [line["step"] for line in read_metrics(tmp_path)] == [2, 4, 5, 5, 6, 8]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "ki')  # what a kill cuts off
    assert go_on(tmp_path).finished
    assert [line["step"] for line in read_metrics(tmp_path)] == [
        2,
        4,
        5,
        5,
        6,
        8,
        10,
        10,
        12,
        14,
        15,
        15,
    ]


def test_a_loss_that_is_not_finite_stops_it_and_the_last_checkpoint_is_good(tmp_path: Path) -> None:
    class Diverging(ReferenceTrainer):
        def losses(self) -> dict[str, float]:
            found = super().losses()
            return {name: float("nan") for name in found} if self.train_state.updates > 7 else found

    mine = Diverging(TrainerConfig(SPEC.graph, RECIPE), initial_tensors(SPEC.graph, 0))
    with pytest.raises(Failure, match="the loss is nan after step 8"):
        run_loop(run(tmp_path), mine, Progress())
    assert [path.name for path in list_checkpoints(tmp_path)] == [checkpoint_path(tmp_path, 5).name]


@pytest.mark.parametrize("what", ["tensors", "slots", "average"])
def test_what_is_not_finite_is_not_saved(what: str, tmp_path: Path) -> None:
    class Spoilt(ReferenceTrainer):
        def save(self) -> TrainState:
            standing = super().save()
            kept = getattr(standing, what)
            return replace(
                standing, **{what: {name: value * np.inf for name, value in kept.items()}}
            )

    mine = Spoilt(TrainerConfig(SPEC.graph, RECIPE), initial_tensors(SPEC.graph, 0))
    with pytest.raises(Failure, match="has values that are not finite after step 5"):
        run_loop(run(tmp_path), mine, Progress())
    assert list_checkpoints(tmp_path) == []


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if len(list_checkpoints(tmp_path)) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failure, match=r"cannot write .*no space left"):
        run_loop(run(tmp_path), trainer(), Progress())
    assert list_checkpoints(tmp_path) == [checkpoint_path(tmp_path, 5)]
    assert not list(tmp_path.rglob(".*"))
    monkeypatch.undo()
    assert go_on(tmp_path).finished


def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path: Path) -> None:
    run_loop(run(tmp_path), trainer(), Progress())
    last = list_checkpoints(tmp_path)[-1]
    content = bytearray(last.read_bytes())
    content[-3] ^= 1
    last.write_bytes(content)
    said: list[str] = []
    found = last_checkpoint(tmp_path, SPEC.graph, said.append)
    assert found is not None
    assert found[1].step == 10
    assert "is damaged" in said[0]
    for path in list_checkpoints(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(Failure, match="no checkpoint of"):
        last_checkpoint(tmp_path, SPEC.graph, said.append)


def test_a_damaged_checkpoint_takes_no_place_among_those_that_are_kept(tmp_path: Path) -> None:
    def interrupt(step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    run_loop(run(tmp_path, keep=9), trainer(), Progress())
    for step in (10, 15):
        checkpoint_path(tmp_path, step).write_bytes(b"")
    standing, place = read_checkpoint(checkpoint_path(tmp_path, 5), SPEC.graph)
    fresh = trainer()
    fresh.restore(standing)
    run_loop(run(tmp_path, Feed(then=interrupt), keep=1), fresh, place)
    assert list_checkpoints(tmp_path) == [
        checkpoint_path(tmp_path, 5),
        checkpoint_path(tmp_path, 7),
    ]


def test_weights_alone_are_no_run_to_go_on_with(tmp_path: Path) -> None:
    from archspec.weights.checkpoint import network_metadata, save_checkpoint

    save_checkpoint(
        tmp_path / "w.safetensors",
        initial_tensors(SPEC.graph, 0),
        network_metadata(SPEC.graph, SPEC.sha256),
    )
    with pytest.raises(Failure, match="holds weights, but no run"):
        read_checkpoint(tmp_path / "w.safetensors", SPEC.graph)


def test_what_could_not_be_read_is_said(tmp_path: Path) -> None:
    class Spoilt(Feed):
        def from_step(self, step: int) -> Generator[Batch]:
            yield from (replace(batch, bad=("cat.png",)) for batch in super().from_step(step))

    told: list[Any] = []
    run_loop(run(tmp_path, Spoilt(), on_event=told.append), trainer(), Progress())
    assert [t["name"] for t in told if t["kind"] == "bad"] == ["cat.png"] * 15


def test_an_epoch_is_kept_whatever_ends_it_while_it_scores(tmp_path: Path) -> None:
    def killed() -> Generator[Batch]:
        yield next(validation())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_loop(replace(run(tmp_path), validation=killed), trainer(), Progress())
    assert list_checkpoints(tmp_path) == [checkpoint_path(tmp_path, 5)]


def test_scores_that_were_told_and_not_saved_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: Any) -> Path:
        if given[-1].scores:
            raise KeyboardInterrupt
        return write(*given)

    write = loop.write_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            run_loop(run(tmp_path), trainer(), Progress())
    assert go_on(tmp_path).finished
    assert [line["step"] for line in read_metrics(tmp_path) if line["kind"] == "validation"] == [
        5,
        10,
        15,
    ]


def test_a_loss_on_the_validation_data_that_is_not_finite_leaves_the_checkpoint_before(
    tmp_path: Path,
) -> None:
    epochs = iter([validation, validation])

    def spoilt() -> Generator[Batch]:
        whole = next(epochs, None)
        yield from (
            whole() if whole else (replace(batch, x=batch.x * np.nan) for batch in validation())
        )

    with pytest.raises(Failure, match="the validation loss is nan after step 15"):
        run_loop(replace(run(tmp_path), validation=spoilt), trainer(), Progress())
    assert list_checkpoints(tmp_path) == [checkpoint_path(tmp_path, step) for step in (5, 10)]


def test_interrupted_while_it_scores_it_saves_at_once_and_scores_when_it_goes_on(
    tmp_path: Path,
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    run_loop(run(whole), trainer(), Progress())

    def cut() -> Generator[Batch]:
        os.kill(os.getpid(), signal.SIGTERM)
        yield next(validation())
        pytest.fail("it continues to score")

    first = run_loop(replace(run(broken), validation=cut), trainer(), Progress())
    assert (first.progress.step, first.finished, dict(first.progress.scores)) == (5, False, {})
    assert go_on(broken).finished
    lines = [
        [line for line in read_metrics(folder) if line["kind"] == "validation"]
        for folder in (whole, broken)
    ]
    for one, other in zip(*lines, strict=True):
        assert other["step"] == one["step"]
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)


def test_an_epoch_is_kept_where_the_validation_data_cannot_be_read(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    run_loop(run(whole), trainer(), Progress())

    def spoilt() -> Generator[Batch]:
        yield next(validation())
        raise UnreadableSample("cannot read `cat.png`")

    with pytest.raises(UnreadableSample, match=r"cat\.png"):
        run_loop(replace(run(broken), validation=spoilt), trainer(), Progress())
    assert list_checkpoints(broken) == [checkpoint_path(broken, 5)]
    assert go_on(broken).finished
    steps = [
        [line["step"] for line in read_metrics(at) if line["kind"] == "validation"]
        for at in (whole, broken)
    ]
    assert steps[0] == steps[1]


def test_data_that_end_with_the_interruption_are_no_failure(tmp_path: Path) -> None:
    def die(step: int) -> None:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
            raise Failure("a process that prepares the data was ended from outside")

    outcome = run_loop(run(tmp_path, Feed(then=die)), trainer(), Progress())
    assert (outcome.progress.step, outcome.finished) == (7, False)
