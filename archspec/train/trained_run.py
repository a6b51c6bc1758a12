"""A trained run opened for scoring: its model, on a device, and its input transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from archspec._numpy import Array, np
from archspec.backend import BackendError, require_imports
from archspec.backend import load as load_backend
from archspec.backend.trainer import Trainer, TrainerConfig, TrainState
from archspec.build_folder import check_trusted, read_model_manifest
from archspec.compiler import load
from archspec.diagnostics import Failure, quote
from archspec.frontend.loader import Spec
from archspec.images import preprocess_of
from archspec.ir.document import Preprocess
from archspec.train.checkpoint import checkpoint_path, last_checkpoint, read_checkpoint
from archspec.train.data import CropCount, InputTransform, MultiCropTransform
from archspec.train.preflight import complete_recipe
from archspec.train.run_folder import SPEC_FILE, read_run_info


@dataclass(frozen=True)
class TrainedRun:
    """`loss_kind` is the loss of the main head, `width` its number of outputs."""

    folder: Path
    run_info: Mapping[str, Any]
    trainer: Trainer
    input: tuple[int, ...]
    preprocess: Preprocess
    loss_kind: str
    width: int

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        best: bool = False,
        device: str | None = None,
        trust: bool = False,
        on_note: Callable[[str], object] = str,
    ) -> TrainedRun:
        """Open a run with its final or best weights; raise `Failure` if it has none.

        Opening runs the folder's code: unless this user trained it, that takes `trust`.
        """
        run_info = read_run_info(folder)
        if not best and not run_info["trained"]:
            message = (
                f"the run in {quote(folder)} was interrupted and its model has the initial weights"
            )
            help = "`archspec train` with --resume continues it; Ctrl-C ends it in order"
            raise Failure(message, help)
        manifest = read_model_manifest(folder)
        check_trusted(folder, manifest, trust, on_note)
        spec = load(folder / SPEC_FILE)
        best_state = _best_state(folder, spec, run_info, on_note) if best else None
        # The trainer scores the validation data in training: scoring with it computes on the same
        # device and in the same precision.
        config = TrainerConfig(spec.graph, complete_recipe(spec), device, training=False)
        trainer = _open_trainer(folder, manifest.backend.name, config)
        if best_state is not None:
            trainer.restore(best_state)
        output = manifest.output
        return cls(
            folder,
            run_info,
            trainer,
            tuple(manifest.input),
            preprocess_of(manifest.preprocess, manifest.input),
            output.loss,
            output.shape[0],
        )

    def transform(self, crops: int) -> InputTransform | MultiCropTransform:
        """Return the transform to one input, as `archspec run` makes it, or to that many crops."""
        if crops == 1:
            return InputTransform(self.input, self.preprocess)
        return MultiCropTransform(self.input, self.preprocess, cast("CropCount", crops))

    def outputs(self, x: Array, size: int) -> Array:
        """Return the outputs [crops, N, width] in float64, computing `size` inputs at a time.

        Inputs x are [N, *input] or [N, crops, *input]. Raises `Failure` if an output is not finite.
        """
        flat = x.reshape(-1, *self.input)
        chunks = [
            self.trainer.predict(flat[start : start + size]) for start in range(0, len(flat), size)
        ]
        outputs = np.concatenate(chunks).astype(np.float64)
        if not np.isfinite(outputs).all():
            message = f"the outputs of {quote(self.folder)} are not finite for all samples"
            raise Failure(message, "scale down the data, or train again at a lower learning rate")
        return outputs.reshape(len(x), -1, self.width).swapaxes(0, 1)


def _best_state(
    folder: Path, spec: Spec, run_info: Mapping[str, Any], on_note: Callable[[str], object]
) -> TrainState:
    last = last_checkpoint(folder, spec.graph, on_note, run_info.get("id", ""))
    if last is None or last[1].best_step is None:
        help = "a run has one after an epoch with validation data"
        raise Failure(f"the run in {quote(folder)} has no best epoch yet", help)
    return read_checkpoint(checkpoint_path(folder, last[1].best_step), spec.graph)[0]


def _open_trainer(folder: Path, name: str, config: TrainerConfig) -> Trainer:
    backend = load_backend(name)
    if backend.trainer is None:
        help = "`archspec backends` lists those that can"
        raise BackendError(f"the backend {quote(name)} cannot train", help)
    try:
        return backend.trainer(folder, config)
    except Failure:
        raise
    except Exception as error:  # the folder's own source runs, and may raise anything
        require_imports(backend, error)
        help = "train it again, or take its checkpoints"
        raise Failure(f"the model in {quote(folder)} cannot be opened: {error}", help) from error
