"""`archspec build`: a spec's model as source and weights."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from archspec.cli.common import (
    add_spec_arguments,
    add_weight_check_arguments,
    load_spec,
    print_note,
    weights_from,
)

HELP = "write a spec's model for a framework"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_spec_arguments(parser)
    parser.add_argument(
        "--backend",
        required=True,
        metavar="NAME",
        help="torch, or any that `archspec backends` lists",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="the folder to write (default: build/SPEC-BACKEND)"
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights", metavar="FILE", help="a portable checkpoint, or what `weights import` takes"
    )
    weights.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the initial weights (default: 0)"
    )
    parser.add_argument(
        "--optimize",
        choices=("none", "inference"),
        default="none",
        help="inference: no train-only parts",
    )
    add_weight_check_arguments(parser)
    parser.epilog = "A backend has options of its own: --backend NAME --help shows them too."


def add_late_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Add the options of the backend that the words name; raise `BackendError`."""
    peek = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    peek.add_argument("--backend")
    try:
        name: str | None = peek.parse_known_args(argv)[0].backend
    except argparse.ArgumentError:
        return  # the whole parser says what is wrong
    if name is None:
        return
    from archspec.backend import load as load_backend

    if options := load_backend(name).options:
        group = parser.add_argument_group(f"options of the backend {name}")
        for key, option in options.items():
            flag, dest = f"--{key.replace('_', '-')}", _PREFIX + key
            if option.parse is bool:
                group.add_argument(flag, dest=dest, action="store_true", help=option.help)
            else:
                group.add_argument(
                    flag,
                    dest=dest,
                    type=_typed(option.parse),
                    default=option.default,
                    metavar=option.metavar,
                    help=f"{option.help} (default: {option.default})",
                )


_PREFIX = "backend."
"""Prefix of a backend's options, which may have the names of ours."""


def _typed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser for argparse, which shows only the messages of its own error class."""

    def typed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return typed


def execute(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.backend import load as load_backend
    from archspec.compiler import write_build

    backend = load_backend(options.backend)
    spec = load_spec(options)
    folder = Path(options.output or Path("build") / f"{Path(options.spec).stem}-{backend.name}")
    write_build(
        spec,
        backend,
        folder,
        weights_from(options, seed=options.seed),
        optimize=options.optimize,
        options={key: getattr(options, _PREFIX + key) for key in backend.options},
        on_note=lambda text: print_note(f"note: {text}", options),
    )
    for path in sorted(folder.iterdir()):
        print_note(f"{path.stat().st_size:>12,} bytes  {path.name}", options)
    print(
        folder
        / next(
            name for name in ("model.py", "model.onnx", "manifest.json") if (folder / name).exists()
        )
    )
    return 0
