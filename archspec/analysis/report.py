"""Statistics, claims and other tools' figures as tables and as JSON: what `archspec stats` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from archspec.analysis.receptive import Field, Number
from archspec.analysis.stats import Stats
from archspec.analysis.tables import Cell, Column, Kind, Table, html
from archspec.diagnostics.render import visible
from archspec.ir.types import format_shape

if TYPE_CHECKING:
    from archspec.analysis.claims import ClaimResult
    from archspec.analysis.conventions import Figures

By = Literal["layer", "block", "row"]

_VERDICTS = {
    "agrees": "agree",
    "erratum": "excused by an erratum",
    "differs": "differ",
    "unreadable": "cannot be read",
    "unneeded erratum": "agree and have an erratum",
}


def table(stats: Stats, by: By = "layer") -> Table:
    """One line for each layer, block or row; totals under those that add up."""
    return {"layer": _layers, "block": _blocks, "row": _rows}[by](stats)


def summary(stats: Stats) -> list[str]:
    """What is to be said of the network as a whole, a line each."""
    memory, aux = stats.memory, any(head.train_only for head in stats.heads)

    def both(count: int, with_aux: int) -> str:
        return f"{count:,}" + (f" ({with_aux:,} with train-only heads)" if aux else "")

    lines = {
        "params": both(stats.params, stats.params_with_aux)
        + (f", {stats.moving:,} moving statistics" if stats.moving else ""),
        "MACs": both(stats.macs, stats.macs_with_aux) + f", {stats.flops:,} FLOPs",
        "depth": f"{stats.depth:,} ({stats.depth_with_pools:,} with pools)",
        "memory": f"{_bytes(memory.params + memory.moving)} of parameters in float32",
        "": f"{_bytes(memory.peak)} of activations at most in inference, {_bytes(memory.training)} kept in training, "
        f"for a batch of {stats.batch:,}",
    }
    return [visible(title(stats)), *(f"{label:<7} {said}" for label, said in lines.items())]


def title(stats: Stats) -> str:
    return f"{stats.name}, input {format_shape(stats.input)}"


def data(stats: Stats, by: By = "layer") -> dict[str, Any]:
    """The JSON of `stats`; with `by`, the groups besides."""
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
        "moving": stats.moving,
        "memory": {
            "batch": memory.batch,
            "params": memory.params,
            "moving": memory.moving,
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
                "moving": layer.moving,
                "row": layer.row,
                "block": layer.block,
                "head": layer.head,
                "receptive_field": list(field.size),
                "stride": [int(n) if n == int(n) else float(n) for n in field.stride],
                "sees_all": field.whole,
                "bytes": memory.outputs[layer.node],
            }
            for layer in stats.layers
            for field in (stats.receptive[layer.node],)
        ],
    }
    if by != "layer":
        names = ("name", "type", "count", "layers", "output", "params", "macs", "depth")
        result[f"{by}s"] = [
            {name: getattr(group, name) for name in names} for group in stats.by(by)
        ]
    return result


def claim_table(results: Sequence[ClaimResult]) -> Table:
    """One line for each printed figure: ours, how far apart, and the verdict."""
    names: dict[str, Kind] = {
        "step": "text",
        "figure": "text",
        "printed": "text",
        "ours": "number",
        "difference": "share",
        "verdict": "text",
    }
    columns = tuple(Column(name, kind) for name, kind in names.items())
    return Table(columns, tuple(_claim(result) for result in results))


def _claim(result: ClaimResult) -> tuple[Cell, ...]:
    ours = result.ours if result.quantity else None
    verdict = "unneeded erratum" if result.unneeded else result.status
    return (
        result.path or "(network)",
        result.quantity,
        result.printed,
        ours,
        result.difference,
        verdict,
    )


def claim_remarks(results: Sequence[ClaimResult]) -> list[str]:
    """How many agree, and what each erratum says."""
    from collections import Counter

    counts = Counter("unneeded erratum" if result.unneeded else result.status for result in results)
    errata = {result.path: result.erratum for result in results if result.erratum}
    said = ", ".join(
        f"{counts[verdict]:,} {words}" for verdict, words in _VERDICTS.items() if verdict in counts
    )
    return [
        *(visible(f"{path}: {text}") for path, text in errata.items()),
        said or "the spec holds no printed figures",
    ]


def claim_data(results: Sequence[ClaimResult]) -> list[dict[str, Any]]:
    """The claims as JSON."""
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


def figures_table(figures: Figures) -> Table:
    """Another tool's figures as a ledger: ours, what is added or taken away, and theirs."""
    rows: list[tuple[Cell, ...]] = []
    counts = (
        ("params", figures.our_params, figures.params_differ, figures.params),
        (figures.operations, figures.our_macs, figures.count_differs, figures.count),
    )
    for name, ours, gaps, theirs in counts:
        if theirs is not None:
            rows.append((name, f"{ours:,}", "ours"))
            rows += [("", f"{gap.amount:+,}", gap.why) for gap in gaps]
            rows.append(("", f"{theirs:,}", figures.tool))
    return Table(
        (Column("figure"), Column("amount", "number"), Column("whose, or why")), tuple(rows)
    )


def figures_data(figures: Figures) -> dict[str, Any]:
    """Another tool's figures as JSON."""
    return {
        "tool": figures.tool,
        "params": figures.params,
        "operations": figures.operations,
        "count": figures.count,
        "params_differ": [{"why": gap.why, "amount": gap.amount} for gap in figures.params_differ],
        "count_differs": [{"why": gap.why, "amount": gap.amount} for gap in figures.count_differs],
        "remark": figures.remark,
    }


def render_html(stats: Stats) -> str:
    """For a notebook: the rows, with what is said of the whole beneath."""
    from html import escape

    said = "<br>".join(map(escape, summary(stats)))
    return f"{html(_rows(stats))}<p>{said}</p>"


def _layers(stats: Stats) -> Table:
    rows = tuple(
        (
            layer.path,
            layer.op,
            format_shape(layer.output),
            layer.params,
            layer.macs,
            *_sees(stats.receptive[layer.node]),
        )
        for layer in stats.layers
    )
    columns = (
        *map(Column, ("layer", "op", "output")),
        *_numbers("params", "MACs"),
        *map(Column, ("field", "stride")),
    )
    return Table(columns, rows, ("total", "", "", *_sums(stats), "", ""))


def _rows(stats: Stats) -> Table:
    columns = (*map(Column, ("row", "type", "output")), *_numbers("depth", "params", "MACs"))
    rows = tuple(
        (g.name, g.type, format_shape(g.output), g.depth, g.params, g.macs) for g in stats.by("row")
    )
    return Table(columns, rows, ("total", "", "", stats.depth, *_sums(stats)))


def _blocks(stats: Stats) -> Table:
    columns = Column("block"), *_numbers("instances", "layers", "depth", "params", "MACs")
    return Table(
        columns,
        tuple((g.name, g.count, g.layers, g.depth, g.params, g.macs) for g in stats.by("block")),
    )


def _numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "number") for name in names)


def _sums(stats: Stats) -> tuple[int, int]:
    """What the listed layers add up to."""
    return sum(layer.params for layer in stats.layers), sum(layer.macs for layer in stats.layers)


def _sees(field: Field) -> tuple[str, str]:
    return ("whole" if field.whole else _axes(field.size)), _axes(field.stride)


def _axes(numbers: Sequence[Number]) -> str:
    """7x5, or the one number that all axes share."""
    shown = [str(number) for number in numbers]
    return shown[0] if len(set(shown)) == 1 else "x".join(shown)


def _bytes(count: int) -> str:
    """1536 -> 1.5 KiB."""
    size, unit = float(count), 0
    while size >= 1024 and unit < 8:
        size, unit = size / 1024, unit + 1
    return f"{size:,.1f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB', 'ZiB', 'YiB')[unit]}"
