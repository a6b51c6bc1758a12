"""The training loop: epochs, schedule, logging and checkpoints; a backend's trainer does the math.

Every rank runs the same loop. What one rank alone may raise is inside `fail_together`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from archspec._numpy import Array, np
from archspec._signals import record_signals
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.backend.trainer import Trainer, TrainState
from archspec.diagnostics import Failure, quote
from archspec.frontend.loader import Spec
from archspec.ir.recipe import Recipe
from archspec.train.checkpoint import Progress, checkpoint_path, prune, write_checkpoint
from archspec.train.clock import Clock
from archspec.train.distributed import fail_together
from archspec.train.log import MetricsLog
from archspec.train.scores import Scores


class LabeledBatch(Protocol):
    """This rank's samples x [N, *input] of a batch and their labels y [N].

    `bad` names the samples that could not be read.
    """

    @property
    def x(self) -> Array: ...
    @property
    def y(self) -> Array: ...
    @property
    def bad(self) -> tuple[str, ...]: ...


class BatchFeed(Protocol):
    """Training batches: `steps` of them an epoch, without end from any step on."""

    @property
    def steps(self) -> int: ...
    def from_step(self, step: int) -> Generator[LabeledBatch]: ...


OnEvent = Callable[[Mapping[str, Any]], object]
"""Called with each event. Its `kind` is `step`, `train`, `validation`, `bad` or `left_out`."""


@dataclass(frozen=True)
class LoopConfig:
    """The spec and recipe to train, the folder to write to, and the checkpoints to keep."""

    spec: Spec
    recipe: Recipe
    folder: Path
    batches: BatchFeed
    validation: Callable[[], Generator[LabeledBatch]] | None = None
    log_every: int = 20
    """Steps between two lines of the log."""
    save_every: int | None = None
    """Steps between two checkpoints within an epoch."""
    keep: int = 2
    """Number of last checkpoints to keep, beside the best one."""
    on_event: OnEvent = lambda _: None
    group: ProcessGroup = field(default_factory=SingleProcess)
    signals: list[int] = field(default_factory=list[int])
    """Signals received so far; any of them stops the loop."""


DIVERGED = "lower the learning rate, or clip gradients; the last checkpoint is from before it"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The progress at the end, and whether the recipe was followed to its end."""

    progress: Progress
    finished: bool


def run_loop(config: LoopConfig, trainer: Trainer, progress: Progress) -> Outcome:
    """Train from `progress` to the end of the recipe; a signal ends the step, saves and returns.

    After each epoch a checkpoint is written, then scored on the validation data. A step without a
    readable sample changes nothing and is counted. If the data or the log fail, what was trained
    is saved first. Raises `Failure` if the loss is not finite; the last checkpoint is from before
    that.
    """
    return _Loop(config, trainer, progress).run()


class _Loop:
    """A running loop; `progress` is that of the last checkpoint."""

    def __init__(self, config: LoopConfig, trainer: Trainer, progress: Progress) -> None:
        assert config.recipe.epochs is not None
        self.config = config
        self.group = config.group
        self.trainer = trainer
        self.progress = progress
        self.steps = config.batches.steps
        self.end = config.recipe.epochs * self.steps
        self.logged_step = progress.step
        self.computed_steps = 0
        """Steps since the last line of the log that had samples."""
        self.left_out = 0
        """Steps since the last line of the log of which no sample could be read."""
        self.left_out_in_a_row = 0
        self.clock = Clock()
        self.signals = config.signals
        self.log: MetricsLog | None = None
        with fail_together(self.group):
            if self.group.is_main:
                self.log = MetricsLog(config.folder, progress.step, self.lacks_scores)

    def run(self) -> Outcome:
        start = self.progress.step
        feed = self.config.batches.from_step(start)
        with record_signals(self.signals), closing(feed) as batches:
            if self.lacks_scores:
                self.evaluate(start, self.save_state(start))
            for step in range(start, self.end):
                batch, size = self.next_batch(batches, step)
                if batch is None:
                    self.stop(step)
                    break
                if size:
                    self.compute(batch, step, size)
                else:
                    self.leave_out(step, batch.bad)
                self.config.on_event({"kind": "step", "step": step + 1, "end": self.end})
                self.after_step(step + 1)
        return Outcome(self.progress, self.progress.step >= self.end and not self.lacks_scores)

    @property
    def lacks_scores(self) -> bool:
        """True if an epoch has ended without its scores: an interruption leaves them for later."""
        step = self.progress.step
        epoch_ended = step > 0 and step % self.steps == 0
        return epoch_ended and self.config.validation is not None and not self.progress.scores

    def compute(self, batch: LabeledBatch, step: int, size: int) -> None:
        with self.clock.computing(size):
            rate = self.config.recipe.learning_rate_at(step, self.steps)
            self.trainer.step(batch.x, batch.y, rate, size)
        self.computed_steps += 1
        self.left_out_in_a_row = 0

    def leave_out(self, step: int, bad: tuple[str, ...]) -> None:
        """Count a step of which no sample can be read; raise `Failure` after an epoch of them."""
        self.left_out += 1
        self.left_out_in_a_row += 1
        self.config.on_event({"kind": "left_out", "step": step + 1})
        if self.left_out_in_a_row == self.steps:
            example = f", as {quote(bad[0])}" if bad else ""
            message = f"no sample of the last {self.steps} steps can be read{example}"
            self.fail(step + 1, Failure(message, "`archspec data check` says why"))

    def next_batch(
        self, batches: Iterator[LabeledBatch], done: int
    ) -> tuple[LabeledBatch | None, int]:
        """Return the next batch and its size over all ranks; None if any rank got a signal."""
        batch = None
        failure: Exception | None = None
        counts = {"size": 0, "bad": 0, "stops": 0, "failures": 0}
        with self.clock.waiting(), fail_together(self.group, **counts) as flags:
            try:
                with self.excusing_dead_workers():
                    batch = next(batches)
                    flags |= {"size": len(batch.y), "bad": len(batch.bad)}
            except Exception as error:  # every rank has to hear of it, to save together
                failure = error
                flags["failures"] = 1
            flags["stops"] = len(self.signals)
        if flags["failures"]:
            self.fail(done, failure)
        if flags["bad"]:
            self.report_unreadable(batch.bad if batch else (), validation=False)
        return None if flags["stops"] else batch, int(flags["size"])

    @contextmanager
    def excusing_dead_workers(self) -> Generator[None]:
        """Ignore a failed worker after a signal: the signal may have ended the worker too."""
        try:
            yield
        except Failure:
            if not self.signals:
                raise

    def after_step(self, done: int) -> None:
        """Log, save and evaluate when due."""
        save_every = self.config.save_every
        epoch_ends = done % self.steps == 0
        save_due = epoch_ends or (save_every is not None and done % save_every == 0)
        if save_due or done % self.config.log_every == 0:
            self.log_training(done)
        if save_due:
            state = self.save_state(done)
            self.write_checkpoint(state, replace(self.progress, step=done, scores={}))
            if epoch_ends:
                self.evaluate(done, state)
            self.prune()

    def stop(self, done: int) -> None:
        """Log and save what has been done since the last time."""
        if done > self.logged_step:
            self.log_training(done)
        if done > self.progress.step:
            state = self.save_state(done)
            self.write_checkpoint(state, replace(self.progress, step=done, scores={}))
            self.prune()

    def fail(self, done: int, failure: Exception | None) -> None:
        """Save what has been done on every rank, then raise the failure of the first that has one.

        Every rank has to call it; `failure` is None on those that are well.
        """
        with suppress(Failure, SystemExit):  # a full disk fails a second time
            self.stop(done)
        with fail_together(self.group):
            if failure is not None:
                raise failure

    def report_unreadable(self, names: tuple[str, ...], validation: bool) -> None:
        for names_of_rank in self.group.all_gather(names):
            for name in names_of_rank:
                self.config.on_event({"kind": "bad", "name": name, "validation": validation})

    def log_training(self, done: int) -> None:
        """Log the losses since the last line; raise `Failure` if one is not finite."""
        earlier = done - self.logged_step - 1
        self.logged_step = done
        if not self.computed_steps:
            return
        # Reading the losses waits for the device: this is computing time too.
        with self.clock.computing():
            losses = self.trainer.losses()
        self.check_finite(
            f"the loss is {{}} after step {done}, or within the {earlier} before it", losses
        )
        values = {
            "epoch": done / self.steps,
            "learning_rate": self.config.recipe.learning_rate_at(done - 1, self.steps),
            "losses": losses,
            **self.clock.report(),
        }
        if self.left_out:
            values["left_out"] = self.left_out
        self.computed_steps = 0
        self.left_out = 0
        self.write_log(done, "train", values)
        self.config.on_event({"kind": "train", "step": done, "end": self.end, **values})

    def write_log(self, done: int, kind: str, values: Mapping[str, Any]) -> None:
        failure: Exception | None = None
        with fail_together(self.group, failures=0) as flags:
            try:
                if self.log:
                    self.log.add(done, kind, **values)
            except Failure as error:
                failure = error
                flags["failures"] = 1
        if flags["failures"]:
            self.fail(done, failure)

    def check_finite(self, message: str, losses: Mapping[str, float]) -> None:
        """Raise `Failure` if one of the losses, which are the same on all ranks, is not finite."""
        wrong = [value for value in losses.values() if not math.isfinite(value)]
        with fail_together(self.group):
            if wrong:
                raise Failure(message.format(wrong[0]), DIVERGED)

    def save_state(self, done: int) -> TrainState:
        """Return the trainer's state; raise `Failure` if a value in it is not finite."""
        state = self.trainer.save()
        tensors = (*state.tensors.items(), *state.average.items(), *state.slots.items())
        with fail_together(self.group):
            for name, value in tensors:
                if not np.isfinite(value).all():
                    message = f"{quote(name)} has values that are not finite after step {done}"
                    raise Failure(message, DIVERGED)
        return state

    def evaluate(self, done: int, state: TrainState) -> None:
        """Score the validation data, each rank its share, and save the checkpoint with the scores.

        A signal on any rank ends this without scores.
        """
        config = self.config
        if config.validation is None:
            return
        scores, bad = self.score_share(config.validation)
        if scores is None:
            return
        self.report_unreadable(bad, validation=True)
        figures = scores.all_reduce(self.group).summary()
        if self.group.is_main and not math.isfinite(figures["loss"]):
            # The tensors are finite, but a run resumed from them would only fail again.
            checkpoint_path(config.folder, done).unlink(missing_ok=True)
        self.check_finite(
            f"the validation loss is {{}} after step {done}", {"loss": figures["loss"]}
        )
        values = {"epoch": done / self.steps, **figures}
        self.write_log(done, "validation", values)
        config.on_event({"kind": "validation", "step": done, **values})
        progress = replace(self.progress, scores=figures)
        if progress.best is None or figures["top1"] > progress.best:
            progress = replace(progress, best=figures["top1"], best_step=done)
        self.write_checkpoint(state, progress)

    def score_share(
        self, validation: Callable[[], Generator[LabeledBatch]]
    ) -> tuple[Scores | None, tuple[str, ...]]:
        """Score this rank's share: None for the scores if any rank got a signal."""
        graph = self.config.spec.graph
        head = graph.heads[0]
        scores = Scores(head.loss, max(graph.nodes[head.node].shape[0], 2))
        bad: tuple[str, ...] = ()
        with fail_together(self.group, stops=0) as flags:
            with self.excusing_dead_workers(), closing(validation()) as batches:
                for batch in batches:
                    bad += batch.bad
                    if len(batch.y):
                        scores.add(self.trainer.predict(batch.x), batch.y)
                    if self.signals:
                        break
            flags["stops"] = len(self.signals)
        return None if flags["stops"] else scores, bad

    def write_checkpoint(self, state: TrainState, progress: Progress) -> None:
        spec = self.config.spec
        with fail_together(self.group):
            if self.group.is_main:
                write_checkpoint(self.config.folder, spec.graph, spec.sha256, state, progress)
        self.progress = progress

    def prune(self) -> None:
        with fail_together(self.group):
            if self.group.is_main:
                prune(self.config.folder, self.config.keep, self.progress)
