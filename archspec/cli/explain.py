"""`archspec explain`: the page of an error's code."""

from __future__ import annotations

import argparse

HELP = "explain an error's code"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="such as AS0301")


def run(options: argparse.Namespace) -> int:
    from archspec.diagnostics import Failure, did_you_mean, quote
    from archspec.diagnostics.codes import CODES, page

    code = options.code.upper()
    if code not in CODES:
        raise Failure(f"unknown code {quote(options.code)}", did_you_mean(code, CODES, "codes"), 2)
    print(page(code), end="")
    return 0
