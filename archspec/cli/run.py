"""`archspec run`: a built model on real pictures."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

HELP = "run a built model on pictures"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="what `archspec build` wrote")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture files")
    parser.add_argument(
        "--top", type=int, default=5, metavar="K", help="how many classes to show (default: 5)"
    )
    parser.add_argument("--labels", metavar="FILE", help="class names, one a line")
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or data"
    )
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def run(options: argparse.Namespace) -> int:
    import json
    from pathlib import Path

    from archspec.backend import load as load_backend
    from archspec.backend import require
    from archspec.build_folder import read_model_manifest
    from archspec.cli.common import say
    from archspec.diagnostics import Failure, UsageError, quote
    from archspec.diagnostics.render import visible
    from archspec.images import load_picture, preprocess_of, top

    if options.top < 1:
        raise UsageError("--top is at least 1")
    folder = Path(options.folder)
    manifest = read_model_manifest(folder)
    facts = _facts(folder)
    labels = (
        _labels(options.labels)
        if options.labels
        else manifest.get("labels") or facts.get("classes")
    )
    steps = preprocess_of(manifest)
    pictures = [load_picture(Path(image), steps, manifest["input"]) for image in options.images]
    if "seed" in manifest:
        say(
            f"note: the weights are random (seed {manifest['seed']}); build with --weights for trained ones",
            options,
        )
    if facts.get("trained") == 0:
        say(
            "note: training was broken off, and these are the weights that it began with; --resume goes on",
            options,
        )
    backend = load_backend(manifest["backend"]["name"])
    try:
        model = backend.load(folder)
        outputs = [backend.predict(model, picture[None])[0] for picture in pictures]
    except Failure:
        raise
    except Exception as error:  # what is run is the folder's own source, which raises what it likes
        lacking = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
        for name, engine in backend.engines.items():
            if engine.package == lacking:
                require(backend, name)
        raise Failure(
            f"the model in {quote(folder)} does not run: {error}", "build it again"
        ) from error
    found: dict[str, object] = {}
    for name, output in zip(options.images, outputs, strict=True):
        scores = top(output, manifest["output"]["loss"], labels, options.top)
        if options.format == "text":
            print(visible(name))
            for score in scores:
                print(f"  {score.probability:8.4f}  {visible(score.label)}")
        found[name] = [{"class": s.index, "label": s.label, "score": s.probability} for s in scores]
    if options.format == "json":
        print(json.dumps(found, indent=2))
    return 0


def _facts(folder: Path) -> dict[str, Any]:
    """What a run says of itself, where the build is of one."""
    from archspec.diagnostics import Failure
    from archspec.train.run_folder import read_facts

    try:
        return read_facts(folder)
    except Failure:
        return {}


def _labels(path: str) -> list[str]:
    from pathlib import Path

    from archspec.diagnostics import Failure, quote

    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "it is not UTF-8 text").lower()
        raise Failure(f"cannot read {quote(path)}: {why}") from error
