"""`archspec backends`: what is installed, and what each cannot do."""

from __future__ import annotations

import argparse

HELP = "list the installed backends"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def run(options: argparse.Namespace) -> int:
    from importlib import metadata

    from archspec.backend import BackendError, available, load

    for name in sorted(available()):
        try:
            backend = load(name)
        except BackendError as error:
            print(f"{name:<10} {error.message}" + (f" ({error.help})" if error.help else ""))
            continue
        gaps = ", ".join(sorted(backend.gaps)) or "none"
        version = metadata.version(backend.framework)
        print(f"{name:<10} {backend.framework} {version}, {len(backend.lowered)} ops, gaps: {gaps}")
    return 0
