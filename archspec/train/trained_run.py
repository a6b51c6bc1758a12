"""A trained run, opened to be scored: its model on the device that it was trained on, and how samples enter it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from archspec._numpy import Array, np
from archspec.backend import BackendError, require_imports
from archspec.backend import load as load_backend
from archspec.backend.trainer import Trainer, TrainerConfig, TrainState
from archspec.build_folder import read_model_manifest
from archspec.compiler import load
from archspec.diagnostics import Failure, quote
from archspec.frontend.loader import Spec
from archspec.images import preprocess_of
from archspec.ir.document import Preprocess
from archspec.train.checkpoint import last_checkpoint, path_of, read_checkpoint
from archspec.train.data import Prepare, PrepareViews, Views
from archspec.train.preflight import ready
from archspec.train.run_folder import SPEC, read_facts


@dataclass(frozen=True)
class Member:
    """`kind` is the loss of its main head, `width` how many values that has."""

    folder: Path
    facts: Mapping[str, Any]
    trainer: Trainer
    input: tuple[int, ...]
    steps: Preprocess
    kind: str
    width: int

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        best: bool = False,
        device: str | None = None,
        remark: Callable[[str], object] = str,
    ) -> Member:
        """With its weights at the end, or those of its best epoch; raises `Failure` where there are none."""
        facts = read_facts(folder)
        if not best and not facts["trained"]:
            help = "`archspec train` with --resume goes on with it; Ctrl-C ends it in order"
            raise Failure(
                f"the run in {quote(folder)} was broken off, and its model has its initial weights",
                help,
            )
        manifest, spec = read_model_manifest(folder), load(folder / SPEC)
        kept = _best(folder, spec, remark) if best else None
        # The trainer scores what is held out in training: it computes where, and as precisely, as it did then.
        trainer = _trainer(
            folder,
            manifest["backend"]["name"],
            TrainerConfig(spec.graph, ready(spec), device, training=False),
        )
        if kept is not None:
            trainer.restore(kept)
        output = manifest["output"]
        shape, steps = tuple(manifest["input"]), preprocess_of(manifest)
        return cls(folder, facts, trainer, shape, steps, output["loss"], output["shape"][0])

    def prepare(self, crops: int) -> Prepare | PrepareViews:
        """How a sample enters it: once, as `archspec run` has it, or as so many crops."""
        if crops == 1:
            return Prepare(self.input, self.steps)
        return PrepareViews(self.input, self.steps, cast("Views", crops))

    def outputs(self, x: Array, size: int) -> Array:
        """Of inputs x [N, *input], or [N, crops, *input], so many at a time: [crops, N, width] in float64.

        Raises `Failure` where they are not finite: they say nothing of any class.
        """
        flat = x.reshape(-1, *self.input)
        found = [
            self.trainer.predict(flat[start : start + size]) for start in range(0, len(flat), size)
        ]
        outputs = np.concatenate(found).astype(np.float64)
        if not np.isfinite(outputs).all():
            help = "scale down the data, or train again at a lower learning rate"
            raise Failure(
                f"the outputs of {quote(self.folder)} are not finite for all samples", help
            )
        return outputs.reshape(len(x), -1, self.width).swapaxes(0, 1)


def _best(folder: Path, spec: Spec, remark: Callable[[str], object]) -> TrainState:
    last = last_checkpoint(folder, spec.graph, remark)
    if last is None or last[1].best_step is None:
        raise Failure(
            f"the run in {quote(folder)} has no best epoch yet",
            "one that ended with something held out is",
        )
    return read_checkpoint(path_of(folder, last[1].best_step), spec.graph)[0]


def _trainer(folder: Path, name: str, plan: TrainerConfig) -> Trainer:
    backend = load_backend(name)
    if backend.trainer is None:
        raise BackendError(
            f"the backend {quote(name)} cannot train", "`archspec backends` lists those that can"
        )
    try:
        return backend.trainer(folder, plan)
    except Failure:
        raise
    except Exception as error:  # the folder's own source runs, which raises what it likes
        require_imports(backend, error)
        help = "train it again, or take its checkpoints"
        raise Failure(f"the model in {quote(folder)} cannot be opened: {error}", help) from error
