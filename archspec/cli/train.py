"""`archspec train`: a spec's model, trained by its recipe."""

from __future__ import annotations

import argparse
from typing import Any

from archspec.cli.common import load, say, say_which, spec_arguments, trust_arguments, weights_from

HELP = "train a spec's model on data"


def arguments(parser: argparse.ArgumentParser) -> None:
    spec_arguments(parser)
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="a folder of pictures, an .npz file, or a set by name",
    )
    data.add_argument(
        "--val-split",
        type=float,
        metavar="SHARE",
        help="of data without a part for it (default: 0.2)",
    )
    data.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes that prepare data (default: 0)",
    )
    data.add_argument(
        "--bad-data",
        choices=("error", "skip"),
        default="error",
        help="what to do with a sample that cannot be read",
    )
    where = parser.add_argument_group("what computes")
    where.add_argument(
        "--backend", default="torch", metavar="NAME", help="what trains it (default: torch)"
    )
    where.add_argument(
        "--device", metavar="NAME", help="for torch: cpu, cuda, cuda:1, mps (default: the best one)"
    )
    where.add_argument(
        "--compile",
        action="store_true",
        help="compile the model first (torch.compile, TensorFlow's XLA)",
    )
    weights = parser.add_argument_group("the weights to start from")
    weights.add_argument(
        "--weights", metavar="FILE", help="start from these, and not from random ones"
    )
    weights.add_argument(
        "--reinit",
        action="append",
        default=[],
        metavar="PATTERN",
        help="tensors to reinitialise despite --weights",
    )
    trust_arguments(weights)
    kept = parser.add_argument_group("what is kept")
    kept.add_argument(
        "-o", "--output", metavar="DIR", help="the run's folder (default: runs/SPEC-DATA-BACKEND)"
    )
    kept.add_argument(
        "--resume", action="store_true", help="go on with the run that is there, if one is"
    )
    kept.add_argument(
        "--log-every",
        type=int,
        default=20,
        metavar="N",
        help="steps between reports (default: 20)",
    )
    kept.add_argument(
        "--save-every", type=int, metavar="N", help="steps between checkpoints within an epoch"
    )
    kept.add_argument(
        "--keep", type=int, default=2, metavar="N", help="last checkpoints to keep beside the best"
    )


def run(options: argparse.Namespace) -> int:
    import sys
    from pathlib import Path

    from archspec.backend import load as load_backend
    from archspec.diagnostics import MissingPackage, UsageError
    from archspec.diagnostics.render import visible
    from archspec.train.distributed import agreed, joined, launched
    from archspec.train.run import Options, start

    try:
        from archspec.train.display import Display
    except ImportError:
        message = "what training shows is drawn by rich, which is not installed"
        raise MissingPackage(message, "pip install 'archspec-nn[train]'") from None
    for name in ("workers", "log_every", "save_every", "keep"):
        value, least = getattr(options, name), 0 if name == "workers" else 1
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} is at least {least}")
    for name in ("reinit", "ignore_spec", "allow_nonfinite"):
        if getattr(options, name) and not options.weights:
            raise UsageError(
                f"--{name.replace('_', '-')} is for what --weights gives, and there are none",
            )
    backend = load_backend(options.backend)
    data = Path(options.data).stem or "data"
    folder = Path(
        options.output or Path("runs") / f"{Path(options.spec).stem}-{data}-{backend.name}"
    )
    chosen = Options(
        data=options.data,
        val_split=options.val_split,
        weights=weights_from(options),
        workers=options.workers,
        log_every=options.log_every,
        save_every=options.save_every,
        keep=options.keep,
        bad_data=options.bad_data,
        device=options.device,
        compile=options.compile,
        command=(*launched(), *sys.argv[1:]),
    )
    with joined(backend) as group:
        options.quiet |= not group.is_main
        with agreed(group):
            spec = load(options)
        say_which(options.data, options)
        with Display(options.quiet) as display:
            how: Any = {
                "group": group,
                "resume": options.resume,
                "watch": display,
                "remark": display.say,
            }
            outcome = start(spec, backend, folder, chosen, **how)
    place = outcome.place
    if not outcome.finished:
        say(f"stopped after step {place.step}; the same command with --resume goes on", options)
        return 130
    if not group.is_main:
        return 0
    best = (
        f", best top-1 {place.best:.2%} after step {place.best_step}"
        if place.best is not None
        else ""
    )
    print(f"{visible(str(folder))}: {spec.name}, trained for {place.step} steps{best}")
    return 0
