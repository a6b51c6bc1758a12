"""`archspec show`: the resolved spec, each value with where it came from."""

from __future__ import annotations

import argparse

from archspec.cli.common import add_spec_arguments, load_spec

HELP = "print the resolved spec, with the origin of each value"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_spec_arguments(parser)
    parser.add_argument(
        "--graph", action="store_true", help="print the graph instead, one layer a line"
    )


def execute(options: argparse.Namespace) -> int:
    spec = load_spec(options)
    if options.graph:
        print(spec.graph)
        return 0
    from archspec.frontend.yaml_writer import annotated_yaml

    print(annotated_yaml(spec.tree), end="")
    return 0
