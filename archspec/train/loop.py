"""The one loop: epochs, schedule, reports and checkpoints; a backend's trainer does the arithmetic."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from archspec._numpy import Array, np
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.backend.trainer import Trainer, TrainState
from archspec.diagnostics import Failure, quote
from archspec.frontend.loader import Spec
from archspec.ir.recipe import Recipe
from archspec.train.checkpoint import Place, path_of, prune, write_checkpoint
from archspec.train.clock import Clock
from archspec.train.distributed import agreed
from archspec.train.log import Log
from archspec.train.scores import Scores


class Batch(Protocol):
    """Samples x [N, *input] and their labels y [N], of a group's batch its own; `bad` names those not to be read."""

    @property
    def x(self) -> Array: ...
    @property
    def y(self) -> Array: ...
    @property
    def bad(self) -> tuple[str, ...]: ...


class Feed(Protocol):
    """Batches for training: `steps` of them an epoch, and all from any step on."""

    @property
    def steps(self) -> int: ...
    def at(self, step: int) -> Generator[Batch]: ...


Watch = Callable[[Mapping[str, Any]], object]
"""Is told what happens: `kind` says what, the rest is of that."""


@dataclass(frozen=True)
class Run:
    """What is trained, where, and what is kept on the way."""

    spec: Spec
    recipe: Recipe
    folder: Path
    feed: Feed
    held_out: Callable[[], Generator[Batch]] | None = None
    every: int = 20
    """Steps between two reports."""
    save_every: int | None = None
    """Steps between two checkpoints within an epoch."""
    keep: int = 2
    """The last so many checkpoints are kept, and the best."""
    watch: Watch = lambda _: None
    group: ProcessGroup = field(default_factory=SingleProcess)
    interrupted: list[int] = field(default_factory=list[int])
    """The signals that asked it to stop."""


DIVERGED = "lower the learning rate, or clip gradients; the last checkpoint is from before it"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: where, and whether the recipe was followed to its end."""

    place: Place
    finished: bool


def train(run: Run, trainer: Trainer, place: Place) -> Outcome:
    """Trains from that place to the recipe's end, or to an interruption, which ends the step and saves.

    A checkpoint is written after each epoch, with the scores of the held-out part. Raises `Failure` where the loss is
    not finite; the last checkpoint is from before it.
    """
    return _Loop(run, trainer, place).go()


class _Loop:
    """A run under way; `place` is that of the last checkpoint."""

    def __init__(self, run: Run, trainer: Trainer, place: Place) -> None:
        assert run.recipe.epochs is not None
        self.run, self.trainer, self.place, self.group = run, trainer, place, run.group
        self.steps, self.end = run.feed.steps, run.recipe.epochs * run.feed.steps
        self.reported, self.clock = place.step, Clock()
        self.interrupted = run.interrupted
        with agreed(self.group):
            self.log = Log(run.folder, place.step, self.unscored) if self.group.is_main else None

    def go(self) -> Outcome:
        with interrupts(self.interrupted), closing(self.run.feed.at(self.place.step)) as batches:
            if self.unscored:
                self.score(self.place.step, self.standing(self.place.step))
            for step in range(self.place.step, self.end):
                batch, size = self.fetch(batches)
                if batch is None:
                    self.stop(step)
                    break
                with self.clock.computing(size):
                    self.trainer.step(
                        batch.x, batch.y, self.run.recipe.rate(step, self.steps), size
                    )
                self.run.watch({"kind": "step", "step": step + 1, "end": self.end})
                self.stepped(step + 1)
        return Outcome(self.place, self.place.step >= self.end and not self.unscored)

    @property
    def unscored(self) -> bool:
        """Whether the epoch that has ended lacks its scores, which an interruption leaves for later."""
        step, scores = self.place.step, self.place.scores
        return self.run.held_out is not None and step > 0 and step % self.steps == 0 and not scores

    def fetch(self, batches: Iterator[Batch]) -> tuple[Batch | None, int]:
        """The next batch and its size over all processes; none where one of them was interrupted."""
        batch = None
        with self.clock.waiting(), agreed(self.group, size=0, bad=0, stops=0) as told:
            with self.feeding():
                batch = next(batches)
                told |= {"size": len(batch.y), "bad": len(batch.bad)}
            told["stops"] = len(self.interrupted)
        if told["bad"]:
            self.miss(batch.bad if batch else (), held_out=False)
        return None if told["stops"] else batch, int(told["size"])

    @contextmanager
    def feeding(self) -> Generator[None]:
        """What interrupts this process may end those that prepare its data: that is no failure then."""
        try:
            yield
        except Failure:
            if not self.interrupted:
                raise

    def stepped(self, done: int) -> None:
        """Reports, saves and scores as it is time to."""
        every, epoch_ends = self.run.save_every, done % self.steps == 0
        saves = epoch_ends or (every is not None and done % every == 0)
        if saves or done % self.run.every == 0:
            self.report(done)
        if saves:
            standing = self.standing(done)
            self.save(standing, replace(self.place, step=done, scores={}))
            if epoch_ends:
                self.score(done, standing)
            self.prune()

    def stop(self, done: int) -> None:
        if done > self.reported:
            self.report(done)
        if done > self.place.step:
            self.save(self.standing(done), replace(self.place, step=done, scores={}))
            self.prune()

    def miss(self, names: tuple[str, ...], held_out: bool) -> None:
        for own in self.group.all_gather(names):
            for name in own:
                self.run.watch({"kind": "bad", "name": name, "held_out": held_out})

    def report(self, done: int) -> None:
        with self.clock.computing():
            losses = self.trainer.losses()
        self.refuse(
            f"the loss is {{}} after step {done}, or within the {done - self.reported - 1} before it",
            losses,
        )
        rate = self.run.recipe.rate(done - 1, self.steps)
        values = {"epoch": done / self.steps, "rate": rate, "losses": losses, **self.clock.report()}
        self.record(done, "train", values)
        self.run.watch({"kind": "train", "step": done, "end": self.end, **values})
        self.reported = done

    def record(self, done: int, kind: str, values: Mapping[str, Any]) -> None:
        with agreed(self.group):
            if self.log:
                self.log.add(done, kind, **values)

    def refuse(self, message: str, losses: Mapping[str, float]) -> None:
        """Raises `Failure` where one of the losses, the same in all processes, is not finite."""
        wrong = [value for value in losses.values() if not math.isfinite(value)]
        with agreed(self.group):
            if wrong:
                raise Failure(message.format(wrong[0]), DIVERGED)

    def standing(self, done: int) -> TrainState:
        """All that is to be saved; raises `Failure` where it is of no use any more."""
        found = self.trainer.save()
        with agreed(self.group):
            for name, value in (
                *found.tensors.items(),
                *found.average.items(),
                *found.slots.items(),
            ):
                if not np.isfinite(value).all():
                    raise Failure(
                        f"{quote(name)} has values that are not finite after step {done}", DIVERGED
                    )
        return found

    def score(self, done: int, standing: TrainState) -> None:
        """Adds to a checkpoint the scores of what is held out, of which each process has a share; if there is time."""
        run, head = self.run, self.run.spec.graph.heads[0]
        if run.held_out is None:
            return
        scores, bad = (
            Scores(head.loss, max(run.spec.graph.nodes[head.node].shape[0], 2)),
            tuple[str, ...](),
        )
        with agreed(self.group, stops=0) as told:
            with self.feeding(), closing(run.held_out()) as batches:
                for batch in batches:
                    bad += batch.bad
                    if len(batch.y):
                        scores.add(self.trainer.predict(batch.x), batch.y)
                    if self.interrupted:
                        break
            told["stops"] = len(self.interrupted)
        if told["stops"]:
            return
        self.miss(bad, held_out=True)
        found = scores.of_all(self.group).summary()
        if self.group.is_main and not math.isfinite(found["loss"]):
            path_of(run.folder, done).unlink(missing_ok=True)
        self.refuse(
            f"the loss on what is held out is {{}} after step {done}", {"loss": found["loss"]}
        )
        self.record(done, "held_out", {"epoch": done / self.steps, **found})
        run.watch({"kind": "held_out", "step": done, "epoch": done / self.steps, **found})
        better = self.place.best is None or found["top1"] > self.place.best
        best, best_step = (
            (found["top1"], done) if better else (self.place.best, self.place.best_step)
        )
        self.save(standing, replace(self.place, scores=found, best=best, best_step=best_step))

    def save(self, standing: TrainState, place: Place) -> None:
        run = self.run
        with agreed(self.group):
            if self.group.is_main:
                write_checkpoint(run.folder, run.spec.graph, run.spec.sha256, standing, place)
        self.place = place

    def prune(self) -> None:
        with agreed(self.group):
            if self.group.is_main:
                prune(self.run.folder, self.run.keep, self.place)


@contextmanager
def interrupts(seen: list[int]) -> Generator[None]:
    """Notes Ctrl-C and a scheduler's notice, which end the step that runs; a second Ctrl-C ends at once.

    The notice may come twice: by the scheduler to all processes, and by the launcher that passes its own on.
    """

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in seen:
            raise KeyboardInterrupt
        seen.append(number)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
