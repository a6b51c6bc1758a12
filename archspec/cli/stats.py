"""`archspec stats`: count a network's costs, beside the paper's and other tools' figures."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any, cast

from archspec.cli.common import add_spec_arguments, load_spec

if TYPE_CHECKING:
    from archspec.analysis.stats import Stats
    from archspec.analysis.tables import Table
    from archspec.frontend.loader import Spec

HELP = "count parameters, multiply-adds, depth, memory and receptive fields"

TOOLS = ("fvcore", "keras", "paper", "ptflops", "ptflops-aten", "torch", "torchinfo")
"""The names of `conventions.CONVENTIONS`, here so that the parser need not import them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_spec_arguments(parser)
    parser.add_argument(
        "--format",
        choices=("table", "json", "csv", "markdown"),
        default="table",
        help="output format",
    )
    parser.add_argument(
        "--by",
        choices=("layer", "block", "row"),
        default="layer",
        help="print one line for each of these",
    )
    parser.add_argument(
        "--train", action="store_true", help="list the layers of train-only heads too"
    )
    parser.add_argument(
        "--batch",
        type=_positive,
        default=1,
        metavar="N",
        help="samples in the batch that memory is counted for",
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--claims", action="store_true", help="compare the paper's printed figures with ours"
    )
    other.add_argument(
        "--as",
        "--tool",
        dest="tool",
        choices=TOOLS,
        help="show another tool's figures, and why they differ",
    )


def execute(options: argparse.Namespace) -> int:
    from archspec.analysis.stats import stats

    spec = load_spec(options)
    counted = stats(spec, train=options.train, batch=options.batch)
    if options.format == "json":
        print(_dumps(_data(counted, spec, options)))
    else:
        _print(counted, spec, options)
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:10]) < 2**31:
        raise argparse.ArgumentTypeError("a batch has at least one sample")
    return int(text)


def _dumps(data: dict[str, Any]) -> str:
    """JSON with one key a line, and one line for each layer."""

    def value(part: Any) -> str:
        if isinstance(part, list) and part and isinstance(part[0], dict):
            return "[\n    " + ",\n    ".join(map(json.dumps, cast(list[Any], part))) + "\n  ]"
        return json.dumps(part)

    return (
        "{\n  "
        + ",\n  ".join(f"{json.dumps(key)}: {value(part)}" for key, part in data.items())
        + "\n}"
    )


def _data(counted: Stats, spec: Spec, options: argparse.Namespace) -> dict[str, Any]:
    from archspec.analysis import report

    result = report.data(counted, options.by)
    if options.claims:
        from archspec.analysis.claims import compare_claims

        result["claims"] = report.claim_data(compare_claims(spec))
    if options.tool:
        from archspec.analysis.conventions import tool_figures

        result["as"] = report.tool_data(tool_figures(spec, options.tool))
    return result


def _print(counted: Stats, spec: Spec, options: argparse.Namespace) -> None:
    from archspec.analysis import tables

    table, remarks = _table(counted, spec, options)
    if options.format == "csv":
        sys.stdout.write(tables.csv(table))
    elif options.format == "markdown":
        items = [f"- {tables.escaped(' '.join(remark.split()))}" for remark in remarks]
        print("\n\n".join(part for part in (tables.markdown(table), "\n".join(items)) if part))
    else:
        print("\n\n".join(part for part in (tables.text(table), "\n".join(remarks)) if part))


def _table(counted: Stats, spec: Spec, options: argparse.Namespace) -> tuple[Table, list[str]]:
    """Return the table and the notes below it."""
    from archspec.analysis import report
    from archspec.analysis.stats import summary

    if options.claims:
        from archspec.analysis.claims import compare_claims

        results = compare_claims(spec)
        return report.claim_table(results), report.claim_notes(results)
    if options.tool:
        from archspec.analysis.conventions import tool_figures

        figures = tool_figures(spec, options.tool)
        return report.tool_table(figures), [figures.remark]
    return report.table(counted, options.by), summary(counted)
