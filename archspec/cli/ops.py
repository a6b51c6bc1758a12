"""`archspec ops`: the layers, and each one's reference, from its declaration."""

from __future__ import annotations

import argparse

HELP = "list the ops, or document one"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("op", nargs="?", metavar="OP", help="the op to document")
    parser.add_argument("--format", choices=("text", "markdown"), default="text", help="plain, or as in the docs")


def run(options: argparse.Namespace) -> int:
    from archspec.diagnostics import Failure, did_you_mean, quote
    from archspec.ops import OPS
    from archspec.reference_docs import describe_op, list_ops

    if options.op is None:
        print(list_ops(options.format), end="")
        return 0
    if options.op not in OPS:
        raise Failure(f"unknown op {quote(options.op)}", did_you_mean(options.op, OPS, "ops"), 2)
    print(describe_op(OPS[options.op], options.format), end="")
    return 0
