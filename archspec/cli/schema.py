"""`archspec schema`: the JSON Schema of specs, for completion and hover in an editor."""

from __future__ import annotations

import argparse

HELP = "print the JSON Schema of specs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no remarks")


def execute(options: argparse.Namespace) -> int:
    import json

    from archspec.frontend.schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
