"""Statistics, claims and other tools' figures as tables and JSON, for `archspec stats`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from archspec.analysis.claims import ClaimResult
from archspec.analysis.conventions import ToolFigures
from archspec.analysis.receptive_field import Number
from archspec.analysis.stats import Stats, row_table
from archspec.analysis.tables import Cell, Column, Kind, Table, number_columns
from archspec.diagnostics.render import visible
from archspec.ir.types import format_shape

By = Literal["layer", "block", "row"]

_UNNEEDED = "unneeded erratum"
_VERDICTS = {
    "agrees": "agree",
    "erratum": "excused by an erratum",
    "differs": "differ",
    "unreadable": "cannot be read",
    _UNNEEDED: "agree and have an erratum",
}


def table(stats: Stats, by: By = "layer") -> Table:
    """Return a line for each layer, block or row, and totals under columns that add up."""
    return {"layer": _layer_table, "block": _block_table, "row": row_table}[by](stats)


def data(stats: Stats, by: By = "layer") -> dict[str, Any]:
    """Return the JSON of `stats`; `by` block or row adds the totals of these."""
    memory = stats.memory
    result: dict[str, Any] = {
        "name": stats.name,
        "input": list(stats.input),
        "params": stats.params,
        "params_with_aux": stats.params_with_aux,
        "macs": stats.macs,
        "macs_with_aux": stats.macs_with_aux,
        "flops": stats.flops,
        "depth": stats.depth,
        "depth_with_pools": stats.depth_with_pools,
        "running_stats": stats.running_stats,
        "memory": {
            "batch": memory.batch,
            "params": memory.params,
            "running_stats": memory.running_stats,
            "activations_inference": memory.peak,
            "activations_training": memory.training,
        },
        "heads": [
            {
                "name": head.name,
                "on": head.on,
                "output": list(head.output),
                "params": head.params,
                "macs": head.macs,
                "train_only": head.train_only,
            }
            for head in stats.heads
        ],
        "layers": [
            {
                "path": layer.path,
                "op": layer.op,
                "output": list(layer.output),
                "params": layer.params,
                "macs": layer.macs,
                "running_stats": layer.running_stats,
                "row": layer.row,
                "block": layer.block,
                "head": layer.head,
                "receptive_field": list(field.size),
                "stride": [int(n) if n == int(n) else float(n) for n in field.stride],
                "sees_all": field.whole,
                "bytes": memory.outputs[layer.node],
            }
            for layer in stats.layers
            for field in (stats.receptive_fields[layer.node],)
        ],
    }
    if by != "layer":
        names = ("name", "type", "count", "layers", "output", "params", "macs", "depth")
        result[f"{by}s"] = [
            {name: getattr(group, name) for name in names} for group in stats.by(by)
        ]
    return result


def claim_table(results: Sequence[ClaimResult]) -> Table:
    """Return a line for each printed figure: ours, the relative difference, and the verdict."""
    names: dict[str, Kind] = {
        "step": "text",
        "figure": "text",
        "printed": "text",
        "ours": "number",
        "difference": "share",
        "verdict": "text",
    }
    columns = tuple(Column(name, kind) for name, kind in names.items())
    return Table(columns, tuple(_claim_row(result) for result in results))


def _claim_row(result: ClaimResult) -> tuple[Cell, ...]:
    return (
        result.path or "(network)",
        result.quantity,
        result.printed,
        result.ours if result.quantity else None,
        result.difference,
        _verdict(result),
    )


def _verdict(result: ClaimResult) -> str:
    return _UNNEEDED if result.unneeded else result.status


def claim_notes(results: Sequence[ClaimResult]) -> list[str]:
    """Return the text of each erratum, then the number of figures by verdict."""
    errata = {result.path: result.erratum for result in results if result.erratum}
    counts = Counter(map(_verdict, results))
    totals = ", ".join(
        f"{counts[verdict]:,} {words}" for verdict, words in _VERDICTS.items() if verdict in counts
    )
    return [
        *(visible(f"{path}: {text}") for path, text in errata.items()),
        totals or "the spec holds no printed figures",
    ]


def claim_data(results: Sequence[ClaimResult]) -> list[dict[str, Any]]:
    """Return the claims as JSON."""
    return [
        {
            "path": result.path,
            "quantity": result.quantity,
            "printed": result.printed,
            "value": None if result.value is None else float(result.value),
            "ours": result.ours,
            "difference": result.difference,
            "status": result.status,
            "erratum": result.erratum,
        }
        for result in results
    ]


def tool_table(figures: ToolFigures) -> Table:
    """Return another tool's figures as a ledger: ours, what it adds or leaves out, and its own."""
    rows: list[tuple[Cell, ...]] = []
    counts = (
        ("params", figures.our_params, figures.params_differ, figures.params),
        (figures.operations, figures.our_macs, figures.count_differs, figures.count),
    )
    for name, ours, differences, theirs in counts:
        if theirs is not None:
            rows.append((name, f"{ours:,}", "ours"))
            rows += [("", f"{d.amount:+,}", d.why) for d in differences]
            rows.append(("", f"{theirs:,}", figures.tool))
    columns = (Column("figure"), Column("amount", "number"), Column("source or reason"))
    return Table(columns, tuple(rows))


def tool_data(figures: ToolFigures) -> dict[str, Any]:
    """Return another tool's figures as JSON."""
    return {
        "tool": figures.tool,
        "params": figures.params,
        "operations": figures.operations,
        "count": figures.count,
        "params_differ": [{"why": d.why, "amount": d.amount} for d in figures.params_differ],
        "count_differs": [{"why": d.why, "amount": d.amount} for d in figures.count_differs],
        "remark": figures.remark,
    }


def _layer_table(stats: Stats) -> Table:
    columns = (
        *map(Column, ("layer", "op", "output")),
        *number_columns("params", "MACs"),
        *map(Column, ("receptive field", "stride")),
    )
    rows: list[tuple[Cell, ...]] = []
    for layer in stats.layers:
        field = stats.receptive_fields[layer.node]
        size = "whole" if field.whole else _axes(field.size)
        output = format_shape(layer.output)
        stride = _axes(field.stride)
        rows.append((layer.path, layer.op, output, layer.params, layer.macs, size, stride))
    params = sum(layer.params for layer in stats.layers)
    macs = sum(layer.macs for layer in stats.layers)
    return Table(columns, tuple(rows), ("total", "", "", params, macs, "", ""))


def _block_table(stats: Stats) -> Table:
    columns = (
        Column("block"),
        *number_columns("instances", "layers", "depth", "params", "MACs"),
    )
    rows = tuple((g.name, g.count, g.layers, g.depth, g.params, g.macs) for g in stats.by("block"))
    return Table(columns, rows)


def _axes(numbers: Sequence[Number]) -> str:
    """Return `7x5`, or the one number that all axes share."""
    shown = [str(number) for number in numbers]
    return shown[0] if len(set(shown)) == 1 else "x".join(shown)
