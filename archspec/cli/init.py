"""`archspec init`: a commented spec to start from."""

from __future__ import annotations

import argparse

HELP = "write a commented starter spec"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="FILE", help="the file to write, such as net.yaml")
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def run(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.cli.common import say
    from archspec.diagnostics import Failure, quote, reason
    from archspec.frontend.template import starter

    path = Path(options.path)
    name = path.stem or "net"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(starter(name))
    except FileExistsError:
        raise Failure(f"{quote(path)} is there already", "choose another name") from None
    except (OSError, ValueError) as error:
        raise Failure(f"cannot write {quote(path)}: {reason(error)}") from error
    print(path)
    say(f"next: archspec check {path}, then archspec stats {path}", options)
    return 0
