"""`archspec ops`: list the layers, document one, or show which backends have them."""

from __future__ import annotations

import argparse

HELP = "list the ops, document one, or show which backends have them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("op", nargs="?", metavar="OP", help="the op to document")
    parser.add_argument(
        "--support", action="store_true", help="which of the installed backends have it"
    )
    parser.add_argument(
        "--format", choices=("text", "markdown"), default="text", help="plain, or as in the docs"
    )


def execute(options: argparse.Namespace) -> int:
    from archspec.diagnostics import UsageError, quote
    from archspec.docgen.ops import describe_op, list_ops
    from archspec.ir.synonyms import suggest_op
    from archspec.ops import OPS

    if options.op is not None and options.op not in OPS:
        raise UsageError(f"unknown op {quote(options.op)}", suggest_op(options.op, OPS))
    if options.support:
        print(_support([options.op] if options.op else [], options.format), end="")
    elif options.op is None:
        print(list_ops(options.format), end="")
    else:
        print(describe_op(OPS[options.op], options.format), end="")
    return 0


def _support(kinds: list[str], format: str) -> str:
    from archspec.analysis import tables
    from archspec.docgen.support import installed, matrix, page, reasons

    backends = [entry.backend for entry in installed() if entry.backend is not None]
    if format == "markdown" and not kinds:
        return page(backends)
    shown = tables.markdown if format == "markdown" else tables.text
    sentences = reasons(backends, kinds)
    return "\n".join([shown(matrix(backends, kinds)), *([""] if sentences else []), *sentences, ""])
