"""`archspec init`: a commented spec to start from, or the package of a new backend."""

from __future__ import annotations

import argparse

HELP = "write a commented starter spec, or the package of a new backend"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        help="the file to write, such as net.yaml; of a backend, its folder",
    )
    parser.add_argument("--backend", metavar="NAME", help="write a backend of that name instead")
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def execute(options: argparse.Namespace) -> int:
    from archspec.diagnostics import UsageError

    if options.backend is not None:
        return _init_backend(options)
    if options.path is None:
        help = "name one, such as net.yaml, or write a backend with --backend NAME"
        raise UsageError("there is no file to write", help)
    return _init_spec(options)


def _init_spec(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.cli.common import print_note
    from archspec.diagnostics import Failure, quote, reason
    from archspec.frontend.template import starter_spec

    path = Path(options.path)
    name = path.stem or "net"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(starter_spec(name))
    except FileExistsError:
        raise Failure(f"{quote(path)} is there already", "choose another name") from None
    except (OSError, ValueError) as error:
        raise Failure(f"cannot write {quote(path)}: {reason(error)}") from error
    print(path)
    print_note(f"next: archspec check {path}, then archspec stats {path}", options)
    return 0


def _init_backend(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.cli.common import print_note
    from archspec.cli.new_backend import LOWERED, default_folder, write_package

    name = options.backend
    folder = default_folder(name) if options.path is None else Path(options.path)
    write_package(name, folder)
    print(folder)
    print_note(
        f"it lowers {LOWERED}; archspec_{name}/gaps.py lists every op that it does not", options
    )
    print_note(f"next: cd {folder}, pip install -e '.[test]', then pytest", options)
    return 0
