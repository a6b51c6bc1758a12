"""Parts that commands share: the spec argument and its overrides, output, failures."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from archspec.diagnostics import Failure
    from archspec.frontend.loader import Spec
    from archspec.weights.weight_source import WeightSource


RENAMED_FLAGS = {
    "--any-spec": "--ignore-spec",
    "--fresh": "--reinit",
    "--held-out": "--val-split",
    "--report-every": "--log-every",
}
"""Flags by their old names. An old one is an error that names the new one."""


class Parser(argparse.ArgumentParser):
    """A parser of commands that knows the old names of flags and takes no abbreviations.

    Its subparsers are of this class too.
    """

    def __init__(self, **settings: Any) -> None:
        settings["allow_abbrev"] = False
        super().__init__(**settings)

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride] - of its overloads
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Parse as argparse does; exit with code 2 and the new name for a renamed flag."""
        options, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            old = word.partition("=")[0]
            new = RENAMED_FLAGS.get(old)
            # Only where this command has the new flag: elsewhere the old one never existed.
            if new in self._option_string_actions:
                self.error(f"{old} was renamed: use {new}")
        return options, unknown


def spec_arguments(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """SPEC, --set and --include, and --quiet for what is said beside the result."""
    help = "a spec's path, or the name of a shipped one"
    parser.add_argument("spec", metavar="SPEC", nargs="+" if many else None, help=help)
    override_arguments(parser)


def override_arguments(parser: argparse.ArgumentParser) -> None:
    """--set, --include and --quiet, for a command that takes its spec in another way."""
    parser.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="ADDRESS=VALUE",
        help="override a value",
    )
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="DIR",
        help="a folder that `extends` may reach",
    )
    parser.add_argument("--quiet", action="store_true", help="no warnings and no remarks")


def actions(parser: argparse.ArgumentParser) -> Callable[[str, str], argparse.ArgumentParser]:
    """Return a function that adds a subcommand by its name and help."""
    added = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    return lambda name, help: added.add_parser(name, help=help, description=help)


class Takes(Protocol):
    """A parser, or a group of options in one."""

    def add_argument(self, *names: str, **how: Any) -> object: ...


def trust_arguments(parser: Takes) -> None:
    """Add the flags that switch off checks of a file of weights."""
    parser.add_argument(
        "--ignore-spec",
        action="store_true",
        help="accept a checkpoint of another spec whose tensors fit",
    )
    parser.add_argument(
        "--allow-nonfinite", action="store_true", help="accept NaN and infinite values"
    )


def weights_from(options: argparse.Namespace, seed: int = 0) -> WeightSource:
    """Return the weights that --weights and the flags beside it name."""
    from pathlib import Path

    from archspec.weights.weight_source import WeightSource

    return WeightSource(
        Path(options.weights) if options.weights else None,
        seed,
        tuple(getattr(options, "reinit", ())),
        options.ignore_spec,
        options.allow_nonfinite,
    )


def load(options: argparse.Namespace) -> Spec:
    """Return the spec that the options name, its warnings on stderr; raise `SpecError`."""
    from archspec.compiler import load

    spec = load(options.spec, sets=options.sets, include=options.include)
    if spec.warnings and not options.quiet:
        from archspec.diagnostics.render import render_text

        say(render_text(spec.warnings, color=coloured(sys.stderr)), options)
    return spec


def say(text: str, options: argparse.Namespace) -> None:
    """Print a remark beside the result: on stderr, and not under --quiet."""
    if not getattr(options, "quiet", False):
        print(text.rstrip("\n"), file=sys.stderr)


def say_which(data: str, options: argparse.Namespace) -> None:
    """Say that a packaged data set is meant if a file of its name is here too."""
    from pathlib import Path

    from archspec.train.data.builtin import PACKAGED

    if data in PACKAGED and Path(data).exists():
        package, _ = PACKAGED[data]
        say(
            f"note: `{data}` is the set that comes with {package}; what lies here is `./{data}`",
            options,
        )


@contextmanager
def progress(quiet: bool) -> Generator[Callable[[str, int, int], object]]:
    """Yield a progress callback: a bar on a terminal if rich is installed, else nothing."""
    from archspec.train.data.source import unwatched

    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        yield unwatched
        return
    console = Console(stderr=True, quiet=quiet)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, disable=quiet or not sys.stderr.isatty(), transient=True
    ) as bar:
        bars: dict[str, Any] = {}

        def watch(part: str, done: int, total: int) -> None:
            if part not in bars:
                bars[part] = bar.add_task(part, total=total)
            bar.update(bars[part], completed=done)

        yield watch


def coloured(stream: TextIO) -> bool:
    """Return True if the stream is a terminal whose user did not switch off colour."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def exit_code(error: Failure) -> int:
    """Return 2 for wrong usage, 3 for a missing package, else 1."""
    from archspec.diagnostics import MissingPackage, UsageError

    if isinstance(error, UsageError):
        return 2
    return 3 if isinstance(error, MissingPackage) else 1


def report_failure(error: Exception, options: argparse.Namespace) -> int:
    """Print what went wrong, without a traceback; return the exit code."""
    from archspec.diagnostics import Failure, SpecError

    if isinstance(error, SpecError):
        from archspec.diagnostics.render import render_json, render_text

        if getattr(options, "format", "") == "json":
            print(render_json(error.diagnostics))
        else:
            print(
                render_text(error.diagnostics, color=coloured(sys.stderr)).rstrip("\n"),
                file=sys.stderr,
            )
        return 1
    if isinstance(error, Failure):
        print(
            f"error: {error.message}" + (f"\n  help: {error.help}" if error.help else ""),
            file=sys.stderr,
        )
        return exit_code(error)
    detail: Any = f"{type(error).__name__}: {error}"
    print(f"error: this is a fault of archspec itself: {detail}", file=sys.stderr)
    print(
        "  help: set ARCHSPEC_TRACEBACK=1 and run it again to see where, and report it",
        file=sys.stderr,
    )
    return 70
