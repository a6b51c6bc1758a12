"""`archspec run`: run a built model on images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from archspec.cli.common import add_trust_argument, print_note

if TYPE_CHECKING:
    from pathlib import Path

    from archspec.build_folder import ModelManifest

HELP = "run a built model on images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="what `archspec build` wrote")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files")
    parser.add_argument(
        "--top", type=int, default=5, metavar="K", help="how many classes to show (default: 5)"
    )
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line")
    add_trust_argument(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or data"
    )
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def execute(options: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from archspec.build_folder import check_trusted, read_model_manifest
    from archspec.diagnostics import UsageError
    from archspec.diagnostics.render import visible
    from archspec.images import load_image, preprocess_of, top_classes

    if options.top < 1:
        raise UsageError("--top is at least 1")
    folder = Path(options.folder)
    manifest = read_model_manifest(folder)
    run_info = _run_info(folder)
    labels = manifest.labels or run_info.get("classes")
    if options.labels:
        labels = _read_labels(options.labels)
    preprocess = preprocess_of(manifest.preprocess, manifest.input)
    shape = manifest.input
    inputs = [load_image(Path(image), preprocess, shape) for image in options.images]
    check_trusted(folder, manifest, options.trust, lambda text: print_note(text, options))
    _note_untrained(manifest, run_info, options)
    results: dict[str, object] = {}
    for name, output in zip(options.images, _predict(folder, manifest, inputs), strict=True):
        scores = top_classes(output, manifest.output.loss, labels, options.top)
        if options.format == "text":
            print(visible(name))
            for score in scores:
                print(f"  {score.probability:8.4f}  {visible(score.label)}")
        results[name] = [
            {"class": score.index, "label": score.label, "score": score.probability}
            for score in scores
        ]
    if options.format == "json":
        print(json.dumps(results, indent=2))
    return 0


def _run_info(folder: Path) -> dict[str, Any]:
    """Return what a training run says of itself, or nothing if the build is not of one."""
    from archspec.diagnostics import Failure
    from archspec.train.run_folder import read_run_info

    try:
        return read_run_info(folder)
    except Failure:
        return {}


def _note_untrained(
    manifest: ModelManifest, run_info: dict[str, Any], options: argparse.Namespace
) -> None:
    if manifest.seed is not None:
        print_note(
            f"note: the weights are random (seed {manifest.seed}); "
            "build with --weights for trained ones",
            options,
        )
    if run_info.get("trained") == 0:
        print_note(
            "note: training was interrupted and these are its initial weights; "
            "--resume continues it",
            options,
        )


def _predict(folder: Path, manifest: ModelManifest, inputs: list[Any]) -> list[Any]:
    """Return the model's output for each input."""
    from archspec.backend import load as load_backend
    from archspec.backend import require
    from archspec.diagnostics import Failure, quote

    backend = load_backend(manifest.backend.name)
    try:
        model = backend.load(folder)
        return [backend.predict(model, values[None])[0] for values in inputs]
    except Failure:
        raise
    except Exception as error:  # the folder's own source runs, and may raise anything
        missing = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
        for name, engine in backend.engines.items():
            if engine.package == missing:
                require(backend, name)
        message = f"the model in {quote(folder)} does not run: {error}"
        raise Failure(message, "build it again") from error


def _read_labels(path: str) -> list[str]:
    from pathlib import Path

    from archspec._files import read_bytes
    from archspec.diagnostics import Failure, quote

    try:
        return read_bytes(Path(path)).decode().splitlines()
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "not UTF-8 text").lower()
        raise Failure(f"cannot read {quote(path)}: {why}") from error
