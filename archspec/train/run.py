"""A training run from end to end: the checks before it, its folder, and the model left in it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from archspec._files import owned
from archspec._numpy import np
from archspec._signals import record_signals
from archspec.backend import Backend, BackendError, attributed, require_imports
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.backend.trainer import Trainer, TrainerConfig, TrainState
from archspec.build_folder import WEIGHTS
from archspec.compiler import write_build
from archspec.diagnostics import Failure, quote, writing
from archspec.frontend.loader import Spec
from archspec.images import UnreadableSample, preprocess_of
from archspec.ir.recipe import Recipe
from archspec.train.checkpoint import Progress, write_best
from archspec.train.curves import write_curves
from archspec.train.data import (
    Batches,
    InputTransform,
    SplitData,
    check_not_inside,
    evaluation_batches,
    open_data,
)
from archspec.train.data.bad_samples import naming_remedies
from archspec.train.data.folder import describe_ignored
from archspec.train.data.source import Subset
from archspec.train.distributed import fail_together
from archspec.train.framework_failures import explaining_failures
from archspec.train.guard import guarded_folder, remove_leftovers_of_runs
from archspec.train.log import write_table
from archspec.train.loop import LoopConfig, OnEvent, Outcome, run_loop
from archspec.train.preflight import (
    check_batch_norm_sizes,
    check_heads,
    check_losses,
    complete_recipe,
)
from archspec.train.run_folder import other_samples, run_info, shell_command, write_run_info
from archspec.train.run_lock import check_same_on_all, enter_folder, lock_folder
from archspec.train.sample_record import (
    Entry,
    check_samples,
    describe_samples,
    restore_samples,
    write_record,
)
from archspec.weights.checkpoint import network_metadata, save_checkpoint
from archspec.weights.weight_source import SEED_0, WeightSource

OnNote = Callable[[str], object]
"""Called with a note for the user."""

SKIP = "`--bad-data skip` trains without it, and with --resume goes on from where the run ended"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Settings of a run that do not change what is learned. The recipe holds those that do."""

    data: str
    val_split: float | None = None
    weights: WeightSource = SEED_0
    workers: int = 0
    log_every: int = 20
    save_every: int | None = None
    keep: int = 2
    bad_data: Literal["error", "skip"] = "error"
    accept_data_changes: bool = False
    """True to resume although samples changed or are gone since the run was begun."""
    device: str | None = None
    compile: bool = False
    shard: Literal["none", "full"] = "none"
    command: tuple[str, ...] = ()


def train_spec(
    spec: Spec,
    backend: Backend,
    folder: Path,
    options: TrainOptions,
    *,
    group: ProcessGroup | None = None,
    resume: bool = False,
    on_event: OnEvent = lambda _: None,
    on_note: OnNote = str,
) -> Outcome:
    """Train a spec by its recipe into a new folder, or with `resume` continue the run found there.

    `on_event` receives the events of the loop, `on_note` notes for the user. In a group only the
    main process writes. Raises `Failure`; what was written by then stays and can be resumed.
    """
    group = group or SingleProcess()
    with fail_together(group):
        run = TrainingRun.prepare(spec, backend, folder, options, group, resume)
    run.on_event = on_event
    run.on_note = on_note
    if group.is_main:
        for note in remove_leftovers_of_runs():
            on_note(note)
    if run.data.ignored and group.is_main:
        on_note(f"note: {describe_ignored(run.data.ignored)}")
    return run.execute()


@dataclass
class TrainingRun:
    """One run of a recipe: `prepare` checks it, `execute` enters its folder, loops and finishes."""

    spec: Spec
    recipe: Recipe
    backend: Backend
    data: SplitData
    folder: Path
    options: TrainOptions
    group: ProcessGroup
    resume: bool
    transform: InputTransform
    """The transform for training, with the recipe's augmentation."""
    info: dict[str, Any]
    """The contents of `run.json`."""
    on_event: OnEvent = lambda _: None
    on_note: OnNote = str
    signals: list[int] = field(default_factory=list[int])
    """Signals received since the loop began."""

    @classmethod
    def prepare(
        cls,
        spec: Spec,
        backend: Backend,
        folder: Path,
        options: TrainOptions,
        group: ProcessGroup,
        resume: bool,
    ) -> TrainingRun:
        """Open the data and make every check that needs no folder and no model."""
        recipe = complete_recipe(spec)
        if backend.trainer is None:
            help = "`archspec backends` lists those that can"
            raise BackendError(f"the backend {quote(backend.name)} cannot train", help)
        check_losses(spec)
        data = open_data(options.data, options.val_split)
        check_not_inside(options.data, folder)
        check_heads(spec, data)
        check_batch_norm_sizes(spec, recipe, len(data.train))
        transform = _input_transform(spec, recipe)
        _check_first_sample(data, transform, options)
        info = run_info(spec, backend, recipe, data)
        return cls(spec, recipe, backend, data, folder, options, group, resume, transform, info)

    def execute(self) -> Outcome:
        """Train to the end of the recipe, or until interrupted, and leave the model in the folder.

        Raises `Failure`.
        """
        check_same_on_all(self.group, self._inputs())
        with ExitStack() as stack:
            checkpoint, record = self._enter(stack)
            if record is not None:
                self.data = restore_samples(record, self.data)
            trainer = self._open_trainer(checkpoint)
            self.info["device"] = trainer.device
            self._write_info()
            # From here to the end: a second signal may arrive while the model is written.
            stack.enter_context(record_signals(self.signals))
            progress = checkpoint[1] if checkpoint else Progress(run=self.info["id"])
            outcome = self._loop(trainer, progress)
            self._finish(trainer, outcome)
        return outcome

    def _inputs(self) -> dict[str, Any]:
        """Return the inputs that have to be equal in all processes of the group."""
        options = self.options
        settings = (
            self.backend.name,
            options.log_every,
            options.save_every,
            options.keep,
            options.bad_data,
            options.compile,
            options.shard,
            self.resume,
        )
        return {
            "spec": (self.spec.sha256, self.info["spec"]["args"]),
            "data": self.info["samples"],
            "recipe": self.recipe,
            "command": settings,
        }

    def _enter(
        self, stack: ExitStack
    ) -> tuple[tuple[TrainState, Progress] | None, list[Entry] | None]:
        """Lock the folder until the stack closes; return its last checkpoint, if it has one.

        The list is of the samples that the run was begun with, if its data have changed since.
        """
        checkpoint = None
        record = None
        with fail_together(self.group):
            if self.group.is_main:
                stack.enter_context(lock_folder(self.folder))
                entered = enter_folder(
                    self.folder, self.spec.graph, self.info, self.resume, self.on_note
                )
                self.info = entered.info
                checkpoint = entered.checkpoint
                if self.resume:
                    self.on_note(f"note: {entered.where_it_begins}")
                if checkpoint and entered.before:
                    record = self._check_samples(entered.before)
                command = shell_command(self.backend, self.options.command)
                self.info["commands"] = [*self.info["commands"], command]
        checkpoint, record = self.group.broadcast((checkpoint, record))
        if checkpoint and self.options.weights.path and self.group.is_main:
            self.on_note(
                f"note: {quote(self.options.weights.path)} is ignored: "
                "the run resumes from its own checkpoint"
            )
        return checkpoint, record

    def _check_samples(self, before: Mapping[str, Any]) -> list[Entry] | None:
        """Return the samples that the run was begun with, or None if they are the data's own."""
        if before["samples"] == self.info["samples"]:
            return None
        accept = self.options.accept_data_changes
        record, changes = check_samples(self.folder, self.data, accept)
        if record is None:
            raise other_samples(self.folder, before)
        if changes:
            self.on_note(f"note: the data have changed: {changes}")
        self.info["samples"] = describe_samples(restore_samples(record, self.data))
        return record

    def _open_trainer(self, checkpoint: tuple[TrainState, Progress] | None) -> Trainer:
        config = TrainerConfig(
            self.spec.graph,
            self.recipe,
            self.options.device,
            self.options.compile,
            self.group,
            self.options.shard,
        )
        with fail_together(self.group):
            trainer = self._build_trainer(config, new=checkpoint is None)
        if checkpoint:
            trainer.restore(checkpoint[0])
        return trainer

    def _build_trainer(self, config: TrainerConfig, *, new: bool) -> Trainer:
        """Open the trainer on a build of its own; a new run keeps that build in its folder."""
        weights = WeightSource(seed=self.recipe.seed)
        if new:
            weights = replace(self.options.weights, seed=self.recipe.seed)
        with guarded_folder() as scratch:
            # A build locks the folder that it lies in, which for the scratch itself is done.
            folder = scratch / "trainer" / "build"
            build = write_build(
                self.spec, self.backend, folder, weights, record=False, on_note=self.on_note
            )
            trainer = _trainer_of(self.backend, build, config)
            if new and self.group.is_main:
                self._publish(build / WEIGHTS)
            return trainer

    def _publish(self, weights: Path) -> None:
        """Write the build with these weights into the run's folder."""
        allow_nonfinite = self.options.weights.allow_nonfinite
        source = WeightSource(weights, allow_nonfinite=allow_nonfinite)
        write_build(self.spec, self.backend, self.folder, source, on_note=self.on_note)

    def _write_info(self) -> None:
        with fail_together(self.group):
            if self.group.is_main:
                write_record(self.folder, self.data)
                write_run_info(self.folder, self.info, self.spec)

    def _loop(self, trainer: Trainer, progress: Progress) -> Outcome:
        """Run the loop; if it fails, leave the table and curves of what was logged."""
        try:
            explaining = explaining_failures(compiled=self.options.compile)
            with explaining, naming_remedies(self.options.data, SKIP):
                return run_loop(self._loop_config(), trainer, progress)
        except Failure:
            # A full disk would be reported twice.
            with suppress(Failure):
                if self.group.is_main:
                    self._report(trainer)
            raise

    def _loop_config(self) -> LoopConfig:
        options = self.options
        batch = self.recipe.batch
        assert batch is not None
        batches = Batches(
            self.data.train,
            self.transform,
            batch,
            self.recipe.seed,
            options.workers,
            self.group.rank,
            self.group.world_size,
            options.bad_data,
            self.recipe.accumulate,
        )
        return LoopConfig(
            self.spec,
            self.recipe,
            self.folder,
            batches,
            self._validation_batches if len(self.data.validation) else None,
            options.log_every,
            options.save_every,
            options.keep,
            on_event=self.on_event,
            group=self.group,
            signals=self.signals,
        )

    def _validation_batches(self) -> Generator[Any]:
        """Return this rank's share of the validation samples, not augmented."""
        assert self.recipe.batch is not None
        count = len(self.data.validation)
        ours = Subset(
            self.data.validation, np.arange(self.group.rank, count, self.group.world_size)
        )
        plain = InputTransform(self.transform.shape, self.transform.preprocess)
        return evaluation_batches(
            ours, plain, self.recipe.batch, self.options.workers, bad_data=self.options.bad_data
        )

    def _finish(self, trainer: Trainer, outcome: Outcome) -> None:
        """Write the trained model, its info, table, curves and the best epoch's weights."""
        state = trainer.save()
        with fail_together(self.group):
            if not self.group.is_main:
                return
            self._write_trained(state)
            self.info["trained"] = outcome.progress.step
            write_run_info(self.folder, self.info, self.spec)
            self._report(trainer)
            spec = self.spec
            write_best(self.folder, spec.graph, spec.sha256, outcome.progress, self.on_note)

    def _write_trained(self, state: TrainState) -> None:
        """Put the averaged tensors, or without an average the last ones, into the build."""
        path = self.folder / ".trained.safetensors"
        tensors = state.average or state.tensors
        metadata = network_metadata(self.spec.graph, self.spec.sha256)
        is_ours = owned()
        try:
            with writing(self.folder, "the checkpoints are complete: continue with --resume"):
                save_checkpoint(path, tensors, metadata)
                self._publish(path)
        finally:
            if is_ours():
                path.unlink(missing_ok=True)

    def _report(self, trainer: Trainer) -> None:
        write_table(self.folder)
        title = f"{self.spec.name} on {self.data.name}, {self.backend.name} on {trainer.device}"
        write_curves(self.folder, title, self.on_note)


def _input_transform(spec: Spec, recipe: Recipe) -> InputTransform:
    shape = spec.graph.input
    preprocess = preprocess_of(spec.document.preprocess, shape)
    return InputTransform(shape, preprocess, recipe.augment)


def _check_first_sample(data: SplitData, transform: InputTransform, options: TrainOptions) -> None:
    """Raise `Failure` if the first sample does not fit the network: the others will not either."""
    try:
        with naming_remedies(options.data, SKIP):
            transform(data.train[0])
    except UnreadableSample:
        if options.bad_data == "error":
            raise


def _trainer_of(backend: Backend, build: Path, config: TrainerConfig) -> Trainer:
    assert backend.trainer is not None
    with attributed(backend.name, "opening its trainer"):
        try:
            return backend.trainer(build, config)
        except ImportError as error:
            require_imports(backend, error)
            raise
