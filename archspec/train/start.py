"""A run from end to end: its folder, what it is trained on, and the model that is left in it.

RUN/ is a build as `archspec build` writes it, with the trained weights at the end, and beside it `spec.yaml`,
`run.json` (what was run, and how to do it again), `metrics.jsonl`, `metrics.csv` and `checkpoints/`.
"""

from __future__ import annotations

import json
import platform
import shlex
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, cast

from archspec import __version__
from archspec.backend import Backend, BackendError
from archspec.compiler import write
from archspec.diagnostics import Failure, quote
from archspec.folder import read_build
from archspec.picture import preprocess_of
from archspec.recipe import Recipe
from archspec.spec import Spec
from archspec.spec.show import show
from archspec.train.checkpoint import Place, checkpoints, last_checkpoint
from archspec.train.data import Batches, Data, Prepare, open_data, whole
from archspec.train.log import Log
from archspec.train.loop import Outcome, Run, Watch, train
from archspec.trainer import Plan, Standing, Trainer, settings
from archspec.weights.checkpoint import origin, save

FACTS, SPEC = "run.json", "spec.yaml"


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
    settings(recipe, spec.graph)
    if backend.trainer is None:
        raise BackendError(
            f"the backend {quote(backend.name)} cannot train", "`archspec backends` lists those that can"
        )
    data = open_data(options.data, options.held_out)
    _refuse_classes(spec, data)
    kept = _kept(folder, spec, options, remark) if resume else None
    if kept is None and folder.exists() and any(folder.iterdir()):
        raise Failure(f"{quote(folder)} is there already", "`--resume` goes on with it; `-o` names another folder")
    weights = checkpoints(folder)[-1] if kept else options.weights
    write(spec, backend, folder, seed=recipe.seed, weights=weights, remark=remark)
    trainer = backend.trainer(folder, Plan(spec.graph, recipe))
    place = Place()
    if kept:
        standing, place = kept
        trainer.restore(standing)
    _write_facts(spec, backend, trainer, folder, recipe, options)
    outcome = train(_run(spec, recipe, folder, data, options, watch), trainer, place)
    finish(spec, backend, folder, trainer.save())
    Log(folder, outcome.place.step).table()
    return outcome


def ready(spec: Spec) -> Recipe:
    """The spec's recipe; raises `Failure` where it leaves open what a run needs."""
    recipe = spec.document.train or Recipe()
    missing = [name for name in ("learning_rate", "epochs", "batch") if getattr(recipe, name) is None]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        help = " ".join(f"--set train.{name}=..." for name in missing)
        raise Failure(f"the recipe of {quote(spec.name)} states no {names}", f"state it under `train`, or give {help}")
    return recipe


def _refuse_classes(spec: Spec, data: Data) -> None:
    head = spec.graph.heads[0]
    width, found = spec.graph.nodes[head.node].shape[0], len(data.classes)
    if found != (2 if width == 1 else width):
        help = f"--set classes={found}" if "classes" in spec.args else ""
        raise Failure(f"{quote(data.name)} has {found} classes, the network tells {max(width, 2)} apart", help)


def _kept(folder: Path, spec: Spec, options: Options, remark: Callable[[str], object]) -> tuple[Standing, Place] | None:
    """What a run of that folder stood at; None where none has begun."""
    if not (folder / FACTS).exists():
        return None
    facts = read_facts(folder)
    if (facts["data"], facts["held_out"]) != (options.data, options.held_out):
        message = f"{quote(folder)} was trained on {quote(facts['data'])}, holding out {facts['held_out']:g}"
        raise Failure(message, "what was held out may not be trained on: go on with the same data")
    return last_checkpoint(folder, spec.graph, remark)


def read_facts(folder: Path) -> dict[str, Any]:
    """What `run.json` says; raises `Failure` where the folder is no run's."""
    try:
        found: Any = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    facts = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    if not isinstance(facts.get("data"), str) or not isinstance(facts.get("held_out"), float | int):
        raise Failure(f"{quote(folder)} holds no run", "`archspec train SPEC --data DATA -o DIR` makes one")
    return facts


def _write_facts(
    spec: Spec, backend: Backend, trainer: Trainer, folder: Path, recipe: Recipe, options: Options
) -> None:
    facts = {
        "command": shlex.join(options.command),
        "spec": {"name": spec.name, "file": spec.path, "sha256": spec.sha256, "args": dict(spec.args)},
        "data": options.data,
        "held_out": options.held_out,
        "backend": backend.name,
        "device": trainer.device,
        "recipe": recipe.model_dump(mode="json"),
        "versions": _versions(backend),
    }
    try:
        (folder / FACTS).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / SPEC).write_text(show(spec.tree), encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {quote(folder)}: {(error.strerror or str(error)).lower()}") from error


def _versions(backend: Backend) -> dict[str, str]:
    found = {"archspec": __version__, "python": platform.python_version()}
    for package in ("numpy", backend.framework, *(engine.package for engine in backend.engines.values())):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _run(spec: Spec, recipe: Recipe, folder: Path, data: Data, options: Options, watch: Watch) -> Run:
    assert recipe.batch is not None
    batch, steps = recipe.batch, preprocess_of(read_build(folder))
    shape, bad_data = spec.graph.input, "skip" if options.bad_data == "skip" else "stop"
    prepare, plain = Prepare(shape, steps, recipe.augment), Prepare(shape, steps)
    feed = Batches(data.train, prepare, batch, recipe.seed, options.workers, bad_data=bad_data)

    def held_out() -> Iterable[Any]:
        return whole(data.held_out, plain, batch, options.workers, bad_data=bad_data)

    scored = held_out if len(data.held_out) else None
    return Run(spec, recipe, folder, feed, scored, options.every, options.save_every, options.keep, watch)


def finish(spec: Spec, backend: Backend, folder: Path, standing: Standing) -> None:
    """Puts the weights into the folder's build: the average where the recipe averages, else those of the last step."""
    with tempfile.TemporaryDirectory(prefix="archspec-") as scratch:
        path = Path(scratch) / "trained.safetensors"
        save(path, standing.average or standing.tensors, origin(spec.graph, spec.sha256))
        write(spec, backend, folder, weights=path)
