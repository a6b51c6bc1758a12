"""Shared by commands: flags that were renamed, the spec argument, notes, progress, failures."""

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
        """Parse as argparse does; exit with code 2 if an unknown flag is one that was renamed."""
        options, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            old = word.partition("=")[0]
            new = RENAMED_FLAGS.get(old)
            # Only where this command has the new flag: elsewhere the old one never existed.
            if new in self._option_string_actions:
                self.error(f"{old} was renamed: use {new}")
        return options, unknown


def add_spec_arguments(parser: argparse.ArgumentParser, many: bool = False) -> None:
    """Add SPEC, and what `add_override_arguments` adds."""
    help = "a spec's path, or the name of a shipped one"
    parser.add_argument("spec", metavar="SPEC", nargs="+" if many else None, help=help)
    add_override_arguments(parser)


def add_override_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --set, --include and --quiet; for a command that takes its spec in its own way."""
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


def add_actions(parser: argparse.ArgumentParser) -> Callable[[str, str], argparse.ArgumentParser]:
    """Return a function that adds an action to a command: its name, and its help."""
    subparsers = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add_action(name: str, help: str) -> argparse.ArgumentParser:
        return subparsers.add_parser(name, help=help, description=help)

    return add_action


class ArgumentTarget(Protocol):
    """A parser, or a group of options in one."""

    def add_argument(self, *names: str, **settings: Any) -> object: ...


def add_weight_check_arguments(parser: ArgumentTarget) -> None:
    """Add the flags that switch off checks of a file of weights."""
    parser.add_argument(
        "--ignore-spec",
        action="store_true",
        help="accept a checkpoint of another spec whose tensors fit",
    )
    parser.add_argument(
        "--allow-nonfinite", action="store_true", help="accept NaN and infinite values"
    )


def add_trust_argument(
    parser: ArgumentTarget, code: str = "the code of a folder that you did not build"
) -> None:
    """Add the flag that lets code run although this user did not build it."""
    parser.add_argument("--trust", action="store_true", help=f"run {code}")


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


def load_spec(options: argparse.Namespace) -> Spec:
    """Load the spec that the options name, with its warnings on stderr; raise `SpecError`."""
    from archspec.compiler import load

    spec = load(options.spec, sets=options.sets, include=options.include)
    if spec.warnings and not options.quiet:
        from archspec.diagnostics.render import render_text

        print_note(render_text(spec.warnings, color=use_color(sys.stderr)), options)
    return spec


def print_note(text: str, options: argparse.Namespace) -> None:
    """Print a remark beside the result: on stderr, and not under --quiet."""
    if not getattr(options, "quiet", False):
        print(text.rstrip("\n"), file=sys.stderr)


def note_builtin_data(data: str, options: argparse.Namespace) -> None:
    """Note that a built-in set is meant if something else of its name is in this folder."""
    from pathlib import Path

    from archspec.train.data.builtin import BUILTIN

    if data in BUILTIN and Path(data).exists():
        package, _ = BUILTIN[data]
        print_note(
            f"note: `{data}` is the built-in set that comes with {package}; "
            f"`./{data}` is what lies here",
            options,
        )


@contextmanager
def progress(quiet: bool) -> Generator[Callable[[str, int, int], object]]:
    """Yield a function to call with a task, how many samples are done, and of how many.

    It draws a bar for each task on a terminal if rich is installed.
    """
    from archspec.train.data.source import ignore_progress

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
        yield ignore_progress
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True, quiet=quiet)
    is_hidden = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=console, disable=is_hidden, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def on_progress(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done)

        yield on_progress


def use_color(stream: TextIO) -> bool:
    """Return whether to colour output: on terminals, unless the user or the terminal objects."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def exit_code(error: Failure) -> int:
    """Return 2 for wrong usage, 3 for a missing package, 70 for a fault of a backend, else 1."""
    from archspec.backend import BackendFault
    from archspec.diagnostics import MissingPackage, UsageError

    if isinstance(error, BackendFault):
        return 70
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
            text = render_text(error.diagnostics, color=use_color(sys.stderr))
            print(text.rstrip("\n"), file=sys.stderr)
        return 1
    if isinstance(error, Failure):
        _print_error(error.message, error.help)
        return exit_code(error)
    _print_error(
        f"this is a fault of archspec itself: {type(error).__name__}: {error}",
        "set ARCHSPEC_TRACEBACK=1 and run it again to see where, and report it",
    )
    return 70


def _print_error(message: str, help: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    if help:
        print(f"  help: {help}", file=sys.stderr)
