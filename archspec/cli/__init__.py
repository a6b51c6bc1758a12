"""The command line: one file a command, each imported only when it is called."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from archspec._version import __version__
from archspec.cli.common import Parser, report_failure

COMMANDS = (
    "check",
    "stats",
    "show",
    "build",
    "run",
    "weights",
    "data",
    "train",
    "eval",
    "verify",
    "backends",
    "ops",
    "explain-op",
    "schema",
    "explain",
    "init",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 is success, 1 a fault of the spec or the data, 2 wrong usage, 3 a missing framework, and 70 a
    bug of archspec or of a backend.
    """
    # Looking for pydantic's plugins takes longer than reading a spec, and none of them is for us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Imports make many objects and no garbage.
    gc.set_threshold(100_000)
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = argparse.Namespace()
    try:
        options = _parser(words).parse_args(words)
        code: int = options.execute(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("ARCHSPEC_TRACEBACK"):
            raise
        return report_failure(error, options)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="archspec", description="From a paper's table to a running network.")
    parser.add_argument("--version", action="version", version=f"archspec {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    called = [name for name in COMMANDS if name in words[:1]] or COMMANDS
    for name in called:
        module: Any = import_module(f"archspec.cli.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        if name in words[:1] and hasattr(module, "add_late_arguments"):
            module.add_late_arguments(command, words[1:])
        command.set_defaults(execute=module.execute)
    return parser
