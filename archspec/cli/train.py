"""`archspec train`: train a spec's model by its recipe."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from archspec.cli.common import (
    add_spec_arguments,
    add_weight_check_arguments,
    load_spec,
    note_builtin_data,
    print_note,
    weights_from,
)

if TYPE_CHECKING:
    from pathlib import Path

    from archspec.frontend.loader import Spec
    from archspec.train.loop import Outcome
    from archspec.train.run import TrainOptions

HELP = "train a spec's model on data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_spec_arguments(parser)
    _add_data_arguments(parser)
    _add_compute_arguments(parser)
    _add_weight_arguments(parser)
    _add_output_arguments(parser)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        help="a folder of images, an .npz file, or the name of a built-in set",
    )
    group.add_argument(
        "--val-split",
        type=float,
        metavar="SHARE",
        help="validation share of data without a validation part (default: 0.2)",
    )
    group.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes that prepare data (default: 0)",
    )
    group.add_argument(
        "--bad-data",
        choices=("error", "skip"),
        default="error",
        help="what to do with a sample that cannot be read",
    )
    group.add_argument(
        "--accept-data-changes",
        action="store_true",
        help="resume although samples changed or are gone; new ones are not used",
    )


def _add_compute_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("computation")
    group.add_argument(
        "--backend", default="torch", metavar="NAME", help="what trains it (default: torch)"
    )
    group.add_argument(
        "--device", metavar="NAME", help="for torch: cpu, cuda, cuda:1, mps (default: the best one)"
    )
    group.add_argument(
        "--compile",
        action="store_true",
        help="compile the model first (torch.compile, TensorFlow's XLA)",
    )
    group.add_argument(
        "--shard",
        choices=("none", "full"),
        default="none",
        help="full: divide weights, gradients and optimizer state among torchrun's processes",
    )


def _add_weight_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("initial weights")
    group.add_argument(
        "--weights", metavar="FILE", help="start from these instead of random weights"
    )
    group.add_argument(
        "--reinit",
        action="append",
        default=[],
        metavar="PATTERN",
        help="tensors to reinitialise despite --weights",
    )
    add_weight_check_arguments(group)


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o", "--output", metavar="DIR", help="the run's folder (default: runs/SPEC-DATA-BACKEND)"
    )
    group.add_argument(
        "--resume", action="store_true", help="continue the run in the folder, if there is one"
    )
    group.add_argument(
        "--log-every",
        type=int,
        default=20,
        metavar="N",
        help="steps between two lines of the log (default: 20)",
    )
    group.add_argument(
        "--save-every", type=int, metavar="N", help="steps between checkpoints within an epoch"
    )
    group.add_argument(
        "--keep", type=int, default=2, metavar="N", help="last checkpoints to keep beside the best"
    )


def execute(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.backend import load as load_backend
    from archspec.diagnostics import MissingPackage, UsageError
    from archspec.train.distributed import fail_together, join_group
    from archspec.train.run import train_spec

    try:
        from archspec.train.display import Display
    except ImportError:
        message = "training shows its progress with rich, which is not installed"
        raise MissingPackage(message, "pip install 'archspec-nn[train]'") from None
    _check_options(options)
    backend = load_backend(options.backend)
    data = Path(options.data).stem or "data"
    default = Path("runs") / f"{Path(options.spec).stem}-{data}-{backend.name}"
    folder = Path(options.output or default)
    with join_group(backend) as group:
        options.quiet |= not group.is_main
        if options.shard != "none" and group.world_size == 1:
            message = "`--shard full` divides a model among processes, and there is one"
            raise UsageError(message, "start several by torchrun, with `--backend torch`")
        with fail_together(group):
            spec = load_spec(options)
        note_builtin_data(options.data, options)
        with Display(options.quiet) as display:
            outcome = train_spec(
                spec,
                backend,
                folder,
                _train_options(options),
                group=group,
                resume=options.resume,
                on_event=display,
                on_note=display.print,
            )
    if not outcome.finished:
        step = outcome.progress.step
        print_note(f"stopped after step {step}; resume with the same command and --resume", options)
        return 130
    if group.is_main:
        print(_summary(folder, spec, outcome))
    return 0


def _check_options(options: argparse.Namespace) -> None:
    """Raise `Failure` for a number that is too small, or for a flag that needs --weights."""
    from archspec.diagnostics import UsageError
    from archspec.train.data.workers import check_workers

    check_workers(options.workers)
    smallest = {"log_every": 1, "save_every": 1, "keep": 1}
    for name, least in smallest.items():
        value = getattr(options, name)
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} is at least {least}")
    if options.accept_data_changes and not options.resume:
        raise UsageError("--accept-data-changes needs --resume")
    for name in ("reinit", "ignore_spec", "allow_nonfinite"):
        if getattr(options, name) and not options.weights:
            raise UsageError(f"--{name.replace('_', '-')} needs --weights")


def _train_options(options: argparse.Namespace) -> TrainOptions:
    import sys

    from archspec.train.distributed import launch_command
    from archspec.train.run import TrainOptions

    return TrainOptions(
        data=options.data,
        val_split=options.val_split,
        weights=weights_from(options),
        workers=options.workers,
        log_every=options.log_every,
        save_every=options.save_every,
        keep=options.keep,
        bad_data=options.bad_data,
        accept_data_changes=options.accept_data_changes,
        device=options.device,
        compile=options.compile,
        shard=options.shard,
        command=(*launch_command(), *sys.argv[1:]),
    )


def _summary(folder: Path, spec: Spec, outcome: Outcome) -> str:
    from archspec.diagnostics.render import visible

    progress = outcome.progress
    text = f"{visible(str(folder))}: {spec.name}, trained for {progress.step} steps"
    if progress.best is not None:
        text += f", best top-1 {progress.best:.2%} after step {progress.best_step}"
    return text
