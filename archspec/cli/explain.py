"""`archspec explain`: print the page of an error code."""

from __future__ import annotations

import argparse

HELP = "explain an error code"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", metavar="CODE", help="such as AS0301")


def execute(options: argparse.Namespace) -> int:
    from archspec.diagnostics import UsageError, did_you_mean, quote
    from archspec.diagnostics.codes import codes, page

    code = options.code.upper()
    if code not in codes():
        help = did_you_mean(code, codes(), "codes")
        raise UsageError(f"unknown code {quote(options.code)}", help)
    print(page(code), end="")
    return 0
