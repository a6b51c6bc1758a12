"""A run from end to end: what it is trained on, its folder, and the model that is left in it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from archspec.backend import Backend, BackendError, require_imports
from archspec.compiler import write
from archspec.diagnostics import Failure, quote
from archspec.picture import Unreadable, preprocess_of
from archspec.recipe import Recipe
from archspec.spec import Spec
from archspec.train.checkpoint import Place, last_checkpoint
from archspec.train.checks import ready, refuse_heads, refuse_single
from archspec.train.data import Batches, Data, Prepare, open_data, whole
from archspec.train.folder import FACTS, facts, read_facts, refuse_another, write_facts
from archspec.train.log import write_table
from archspec.train.loop import Outcome, Run, Watch, train
from archspec.trainer import Plan, Standing, Trainer
from archspec.weights.checkpoint import origin, save


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is run; what is learnt is in the recipe."""

    data: str
    held_out: float = 0.2
    weights: Path | None = None
    workers: int = 0
    every: int = 20
    save_every: int | None = None
    keep: int = 2
    bad_data: Literal["error", "skip"] = "error"
    command: tuple[str, ...] = ()


def start(
    spec: Spec,
    backend: Backend,
    folder: Path,
    options: Options,
    *,
    resume: bool = False,
    watch: Watch = lambda _: None,
    remark: Callable[[str], object] = str,
) -> Outcome:
    """Trains a spec by its recipe, into a folder that is new, or with `resume` goes on where its run stood.

    `watch` is told what happens on the way, `remark` what one should know. Raises `Failure`; what was written by then
    stays, and can be gone on with.
    """
    recipe = ready(spec)
    if backend.trainer is None:
        help = "`archspec backends` lists those that can"
        raise BackendError(f"the backend {quote(backend.name)} cannot train", help)
    data = open_data(options.data, options.held_out)
    refuse_heads(spec, data)
    refuse_single(spec, recipe, len(data.train))
    run = _run(spec, recipe, folder, data, options, watch)
    known = facts(spec, backend, "", recipe, data, options.held_out)
    began = (folder / FACTS).exists()
    if _taken(folder) and not (resume and began):
        help = "`-o` names another folder" + ("; `--resume` goes on with it" if began else "")
        raise Failure(f"{quote(folder)} is there already", help)
    if began:
        before = read_facts(folder)
        refuse_another(folder, before, known)
        known |= {"commands": before["commands"], "trained": before["trained"]}
    kept = last_checkpoint(folder, spec.graph, remark) if began else None
    known["commands"] = [*known["commands"], shlex.join(options.command)]
    with _built(spec, backend, folder, options, recipe, anew=kept is None, remark=remark) as build:
        trainer = _trainer(backend, build, Plan(spec.graph, recipe))
        place = Place()
        if kept:
            standing, place = kept
            trainer.restore(standing)
        known["device"] = trainer.device
        write_facts(folder, known, spec)
        outcome = train(run, trainer, place)
        _finish(spec, backend, folder, trainer.save())
    write_facts(folder, {**known, "trained": outcome.place.step}, spec)
    write_table(folder)
    return outcome


def _taken(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


@contextmanager
def _built(
    spec: Spec, backend: Backend, folder: Path, options: Options, recipe: Recipe, *, anew: bool, remark: Any
) -> Generator[Path]:
    """What the trainer is made from: the run's own build, or beside that of a run that goes on, which has to last."""
    if anew:
        yield write(spec, backend, folder, seed=recipe.seed, weights=options.weights, remark=remark)
        return
    with tempfile.TemporaryDirectory(prefix="archspec-") as scratch:
        yield write(spec, backend, Path(scratch) / "build", seed=recipe.seed)


def _trainer(backend: Backend, build: Path, plan: Plan) -> Trainer:
    assert backend.trainer is not None
    try:
        return backend.trainer(build, plan)
    except ImportError as error:
        require_imports(backend, error)
        raise


def _run(spec: Spec, recipe: Recipe, folder: Path, data: Data, options: Options, watch: Watch) -> Run:
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
    batch, bad_data = recipe.batch, "skip" if options.bad_data == "skip" else "stop"
    feed = Batches(data.train, prepare, batch, recipe.seed, options.workers, bad_data=bad_data)

    def held_out() -> Iterable[Any]:
        return whole(data.held_out, plain, batch, options.workers, bad_data=bad_data)

    scored = held_out if len(data.held_out) else None
    return Run(spec, recipe, folder, feed, scored, options.every, options.save_every, options.keep, watch)


def _finish(spec: Spec, backend: Backend, folder: Path, standing: Standing) -> None:
    """Puts the weights into the folder's build: the average where the recipe averages, else those of the last step."""
    path = folder / ".trained.safetensors"
    try:
        save(path, standing.average or standing.tensors, origin(spec.graph, spec.sha256))
        write(spec, backend, folder, weights=path)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        help = "the checkpoints are whole; --resume goes on from there"
        raise Failure(f"cannot write {quote(folder)}: {why}", help) from error
    finally:
        path.unlink(missing_ok=True)
