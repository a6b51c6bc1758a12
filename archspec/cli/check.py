"""`archspec check`: report every error of one or more specs, each at its location."""

from __future__ import annotations

import argparse
import sys

from archspec.cli.common import add_spec_arguments, use_color

HELP = "find every error of a spec"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_spec_arguments(parser, many=True)
    parser.add_argument(
        "--format",
        choices=("text", "json", "github"),
        default="text",
        help="for people, data, or annotations",
    )
    parser.add_argument(
        "--check-outputs",
        action="store_true",
        help="check outputs that are stated for another input too",
    )


def execute(options: argparse.Namespace) -> int:
    from archspec.compiler import check
    from archspec.diagnostics import Diagnostic
    from archspec.diagnostics.render import render_github, render_json, render_text, summary

    shown: list[Diagnostic] = []
    for path in options.spec:
        spec, diagnostics = check(
            path,
            sets=options.sets,
            include=options.include,
            check_outputs=options.check_outputs,
        )
        shown += [d for d in diagnostics if d.severity == "error" or not options.quiet]
        if spec is not None and options.format == "text" and not options.quiet:
            print(", ".join(filter(None, (f"{path}: fine", summary(diagnostics)))))
    failed = any(diagnostic.severity == "error" for diagnostic in shown)
    if options.format == "json":
        print(render_json(shown))
    elif options.format == "github":
        print(render_github(shown), end="")
    elif shown:
        sys.stdout.flush()
        print(render_text(shown, color=use_color(sys.stderr)).rstrip("\n"), file=sys.stderr)
    return int(failed)
