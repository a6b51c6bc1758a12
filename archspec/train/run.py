"""A run from end to end: what it is trained on, its folder, and the model that is left in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from archspec._numpy import np
from archspec.backend import Backend, BackendError, require_imports
from archspec.backend.process_group import ProcessGroup, SingleProcess
from archspec.backend.trainer import Trainer, TrainerConfig, TrainState
from archspec.build_folder import WEIGHTS
from archspec.compiler import write_build
from archspec.diagnostics import Failure, quote, writing
from archspec.frontend.loader import Spec
from archspec.images import Unreadable, preprocess_of
from archspec.ir.recipe import Recipe
from archspec.train.checkpoint import Place, write_best
from archspec.train.curves import write_curves
from archspec.train.data import Batches, Data, Prepare, open_data, refuse_within, whole
from archspec.train.data.source import Part
from archspec.train.distributed import agreed
from archspec.train.log import write_table
from archspec.train.loop import Outcome, Run, Watch, interrupts, train
from archspec.train.preflight import ready, refuse_heads, refuse_single
from archspec.train.run_folder import facts, repeatable, write_facts
from archspec.train.run_lock import claimed, entered, refuse_unlike
from archspec.weights.checkpoint import network_metadata, save_checkpoint
from archspec.weights.weight_source import SEED_0, WeightSource

OUT_OF_MEMORY = (
    "out of memory",
    "OutOfMemory",
    "can't allocate memory",
    "RESOURCE_EXHAUSTED",
    "OOM when allocating",
)
"""How PyTorch, TensorFlow and JAX say it, on CPUs and on GPUs; they have no exception in common."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is run; what is learnt is in the recipe."""

    data: str
    val_split: float | None = None
    weights: WeightSource = SEED_0
    workers: int = 0
    log_every: int = 20
    save_every: int | None = None
    keep: int = 2
    bad_data: Literal["error", "skip"] = "error"
    device: str | None = None
    compile: bool = False
    command: tuple[str, ...] = ()


def start(
    spec: Spec,
    backend: Backend,
    folder: Path,
    options: Options,
    *,
    group: ProcessGroup | None = None,
    resume: bool = False,
    watch: Watch = lambda _: None,
    remark: Callable[[str], object] = str,
) -> Outcome:
    """Trains a spec by its recipe, into a folder that is new, or with `resume` goes on where its run stood.

    `watch` is told what happens on the way, `remark` what one should know; in a group the first process alone writes.
    Raises `Failure`; what was written by then stays, and can be gone on with.
    """
    group = group or SingleProcess()
    with agreed(group):
        recipe = ready(spec)
        if backend.trainer is None:
            help = "`archspec backends` lists those that can"
            raise BackendError(f"the backend {quote(backend.name)} cannot train", help)
        data = open_data(options.data, options.val_split)
        refuse_within(options.data, folder)
        refuse_heads(spec, data)
        refuse_single(spec, recipe, len(data.train))
        run = replace(_run(spec, recipe, folder, data, options, group), watch=watch)
        known = facts(spec, backend, "", recipe, data, data.share)
    how = (
        backend.name,
        options.log_every,
        options.save_every,
        options.keep,
        options.bad_data,
        options.compile,
        resume,
    )
    refuse_unlike(
        group,
        {
            "spec": (spec.sha256, known["spec"]["args"]),
            "data": known["samples"],
            "recipe": recipe,
            "command": how,
        },
    )
    with ExitStack() as stack:
        kept = None
        with agreed(group):
            if group.is_main:
                stack.enter_context(claimed(folder))
                known, kept = entered(folder, spec.graph, known, resume, remark)
                known["commands"] = [*known["commands"], repeatable(backend, options.command)]
        kept = group.broadcast(kept)
        if kept and options.weights.path and group.is_main:
            remark(
                f"note: {quote(options.weights.path)} is what a run begins with; this one goes on from its checkpoint"
            )
        plan = TrainerConfig(spec.graph, recipe, options.device, options.compile, group)
        with agreed(group):
            trainer = _opened(spec, backend, folder, plan, options, kept is None, remark)
        if kept:
            trainer.restore(kept[0])
        known["device"] = trainer.device
        with agreed(group):
            if group.is_main:
                write_facts(folder, known, spec)

        def report() -> None:
            write_table(folder)
            write_curves(
                folder, f"{spec.name} on {data.name}, {backend.name} on {trainer.device}", remark
            )

        # From here to the end: a second notice may come while the model is written.
        stack.enter_context(interrupts(run.interrupted))
        try:
            outcome = _trained(run, trainer, kept[1] if kept else Place(), options)
        except Failure:
            with suppress(Failure):  # which of a full disk would be said twice
                if group.is_main:
                    report()
            raise
        standing = trainer.save()
        with agreed(group):
            if group.is_main:
                _finish(spec, backend, folder, standing)
                write_facts(folder, {**known, "trained": outcome.place.step}, spec)
                report()
                write_best(folder, spec.graph, spec.sha256, outcome.place, remark)
        return outcome


def _opened(
    spec: Spec,
    backend: Backend,
    folder: Path,
    plan: TrainerConfig,
    options: Options,
    begins: bool,
    remark: Callable[[str], object],
) -> Trainer:
    """The trainer of a build that is made for it; a run that begins leaves that build in its folder."""
    seed = plan.recipe.seed
    weights = replace(options.weights, seed=seed) if begins else WeightSource(seed=seed)
    allow_nonfinite = options.weights.allow_nonfinite
    with tempfile.TemporaryDirectory(prefix="archspec-") as scratch:
        build = write_build(
            spec,
            backend,
            Path(scratch) / "build",
            weights=weights,
            on_note=remark,
        )
        trainer = _trainer(backend, build, plan)
        if begins and plan.group.is_main:
            write_build(
                spec,
                backend,
                folder,
                weights=WeightSource(build / WEIGHTS, allow_nonfinite=allow_nonfinite),
            )
        return trainer


def _trained(run: Run, trainer: Trainer, place: Place, options: Options) -> Outcome:
    try:
        return train(run, trainer, place)
    except Failure:
        raise
    except Exception as error:
        first = str(error).partition("\n")[0]
        if isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY):
            help = "--set train.accumulate=2 computes a batch in two parts; --resume goes on from the last checkpoint"
            raise Failure(f"there is not enough memory: {first}", help) from error
        if not options.compile:
            raise
        raise Failure(f"the compiled model fails: {first}", "leave out --compile") from error


def _trainer(backend: Backend, build: Path, plan: TrainerConfig) -> Trainer:
    assert backend.trainer is not None
    try:
        return backend.trainer(build, plan)
    except ImportError as error:
        require_imports(backend, error)
        raise


def _run(
    spec: Spec, recipe: Recipe, folder: Path, data: Data, options: Options, group: ProcessGroup
) -> Run:
    """Raises `Failure` where the first sample does not fit the network: the others will not."""
    assert recipe.batch is not None
    stated, shape = spec.document.preprocess, spec.graph.input
    dumped = stated.model_dump(mode="json") if stated else None
    steps = preprocess_of({"preprocess": dumped, "input": list(shape)})
    prepare, plain = Prepare(shape, steps, recipe.augment), Prepare(shape, steps)
    try:
        prepare(data.train[0])
    except Unreadable:
        if options.bad_data == "error":
            raise
    batch, bad_data = recipe.batch, options.bad_data
    feed = Batches(
        data.train,
        prepare,
        batch,
        recipe.seed,
        options.workers,
        group.rank,
        group.world_size,
        bad_data,
        recipe.accumulate,
    )
    mine = Part(data.held_out, np.arange(group.rank, len(data.held_out), group.world_size))

    def held_out() -> Generator[Any]:
        return whole(mine, plain, batch, options.workers, bad_data=bad_data)

    scored = held_out if len(data.held_out) else None
    return Run(
        spec,
        recipe,
        folder,
        feed,
        scored,
        options.log_every,
        options.save_every,
        options.keep,
        group=group,
    )


def _finish(spec: Spec, backend: Backend, folder: Path, standing: TrainState) -> None:
    """Puts the weights into the folder's build: the average where the recipe averages, else those of the last step."""
    path = folder / ".trained.safetensors"
    try:
        with writing(folder, "the checkpoints are whole; --resume goes on from there"):
            save_checkpoint(
                path,
                standing.average or standing.tensors,
                network_metadata(spec.graph, spec.sha256),
            )
            write_build(spec, backend, folder, weights=WeightSource(path))
    finally:
        path.unlink(missing_ok=True)
