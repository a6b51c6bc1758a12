"""`archspec weights`: inspect files of weights, and convert between kinds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from archspec.cli.common import (
    add_actions,
    add_override_arguments,
    add_weight_check_arguments,
    load_spec,
    print_note,
)

if TYPE_CHECKING:
    from archspec.weights import LoadedWeights
    from archspec.weights.inspect import FileContents, TensorSummary

HELP = "inspect, import, export and convert files of weights"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    action = add_actions(parser)
    inspect = action("inspect", "print what a file of weights holds")
    inspect.add_argument("file", metavar="FILE", help="weights of any known kind")
    inspect.add_argument(
        "--format", choices=("table", "json"), default="table", help="for people, or data"
    )
    inspect.add_argument("--quiet", action="store_true", help="no remarks")

    export = action("export", "write weights as a framework's own kind of file")
    export.add_argument("source", metavar="CHECKPOINT", help="weights of any known kind")
    export.add_argument(
        "--to", required=True, metavar="NAME", help="the backend whose kind of file is written"
    )
    _common(export)
    export.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write")

    take = action("import", "make a portable checkpoint of any other kind of file")
    take.add_argument("source", metavar="FILE", help="weights of any known kind")
    take.add_argument(
        "--mapping", metavar="NAME_OR_FILE", help="how another project calls the tensors"
    )
    _prefix(take)
    _common(take)
    take.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="CHECKPOINT",
        help="the file to write, a .safetensors",
    )

    convert = action("convert", "from one kind of file to another, each told by its suffix")
    convert.add_argument("source", metavar="FROM", help="the file to read")
    convert.add_argument("output", metavar="TO", help="the file to write")
    convert.add_argument(
        "--mapping", metavar="NAME_OR_FILE", help="how another project calls the tensors"
    )
    _prefix(convert)
    _common(convert)


def _prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prefix",
        default="",
        metavar="PREFIX",
        help="what the file's names begin with, as `backbone.`: others are left out",
    )


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spec",
        required=True,
        metavar="SPEC",
        help="the network: a path, or a shipped spec's name",
    )
    add_override_arguments(parser)
    add_weight_check_arguments(parser)


def execute(options: argparse.Namespace) -> int:
    return _inspect(options) if options.action == "inspect" else _convert(options)


def _inspect(options: argparse.Namespace) -> int:
    import json

    from archspec.weights.inspect import contents_json, inspect

    contents = inspect(options.file)
    if options.format == "json":
        print(json.dumps(contents_json(contents), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(_table(contents))
    return 0


def _convert(options: argparse.Namespace) -> int:
    from pathlib import Path

    from archspec.diagnostics import UsageError, quote
    from archspec.diagnostics.render import visible
    from archspec.weights import convert
    from archspec.weights.formats import PORTABLE_SUFFIX

    if options.action == "import" and Path(options.output).suffix != PORTABLE_SUFFIX:
        help = "`archspec weights convert` writes the other kinds"
        raise UsageError(
            f"a portable checkpoint ends in {PORTABLE_SUFFIX}, found {quote(options.output)}", help
        )
    spec = load_spec(options)
    loaded: LoadedWeights = convert(
        options.source,
        options.output,
        spec,
        to=getattr(options, "to", None),
        mapping=getattr(options, "mapping", None),
        prefix=getattr(options, "prefix", ""),
        ignore_spec=options.ignore_spec,
        allow_nonfinite=options.allow_nonfinite,
    )
    for note in loaded.notes:
        print_note(f"note: {note}", options)
    beside = f", and {len(loaded.slots):,} slots of an optimizer" if loaded.slots else ""
    print_note(f"{len(loaded.tensors):,} tensors of {spec.name}{beside}", options)
    print(visible(options.output))
    return 0


def _table(contents: FileContents) -> str:
    """Return a file's metadata, and a line for each tensor."""
    from archspec.analysis.tables import Column, Table, text
    from archspec.diagnostics.render import visible

    rest = len(contents.tensors) - len(contents.weights)
    beside = f", and {rest:,} that are no weights" if rest else ""
    count = f"{len(contents.weights):,} tensors, {contents.values:,} values{beside}"
    head = [f"{contents.format}: {count}"]
    head += [f"{visible(key)}: {visible(str(value))}" for key, value in contents.metadata.items()]
    numbers = [Column(name, "number") for name in ("min", "mean", "max", "std", "NaN", "inf")]
    columns = (Column("tensor"), Column("shape"), Column("dtype"), *numbers)
    rows = tuple(_row(tensor) for tensor in contents.tensors)
    if rest:
        columns = (*columns, Column("no weight"))
        reasons = [tensor.unused for tensor in contents.tensors]
        rows = tuple((*row, reason) for row, reason in zip(rows, reasons, strict=True))
    return "\n".join(head) + "\n\n" + text(Table(columns, rows))


def _row(tensor: TensorSummary) -> tuple[Any, ...]:
    from archspec.ir.types import format_shape

    figures = (tensor.min, tensor.mean, tensor.max, tensor.std)
    shown = [None if figure is None else f"{figure:.4g}" for figure in figures]
    return (tensor.name, format_shape(tensor.shape), tensor.dtype, *shown, tensor.nan, tensor.inf)
