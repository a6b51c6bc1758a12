"""Costs of a network: parameters, multiply-adds and depth; in total, by layer, block or row.

>>> from archspec.diagnostics import Source
>>> from archspec.ir.graph import Graph, Head, Input, Node, Scope
>>> from archspec.ops import OPS
>>> at = Source("net.yaml", "").start
>>> root = Scope("net", "network", at)
>>> image = Node(0, "input", Input(), (), (3, 8, 8), root, at)
>>> conv = Node(1, "conv", OPS["conv"](out=4, kernel=3), (0,), (4, 6, 6), root, at)
>>> counted = stats(Graph("net", (image, conv), (Head("main", 1),), root))
>>> counted.params, counted.macs, counted.flops, counted.depth
(112, 3888, 7776, 1)

Params are trainable values; running statistics are counted separately. MACs are the multiply-adds
of convolutions and linear layers for one sample, without biases; FLOPs are twice that. Train-only
heads count in the `_with_aux` figures only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Literal

from archspec.analysis import HasGraph, count, graph_of, groups, tables
from archspec.analysis.count import HeadStats, LayerStats
from archspec.analysis.groups import GroupTotals
from archspec.analysis.memory import Memory, memory
from archspec.analysis.receptive_field import ReceptiveField, receptive_fields
from archspec.diagnostics.render import visible
from archspec.ir.graph import Graph
from archspec.ir.types import Shape, format_shape


@dataclass(frozen=True)
class Stats:
    """A network's figures; a notebook shows them as a table.

    `layers` are in execution order and include those of train-only heads if `train` is set.
    `running_stats` counts the values of the inference graph that are not trained.
    """

    name: str
    input: Shape
    params: int
    params_with_aux: int
    macs: int
    macs_with_aux: int
    depth: int
    depth_with_pools: int
    running_stats: int
    layers: tuple[LayerStats, ...]
    heads: tuple[HeadStats, ...]
    train: bool
    batch: int
    graph: Graph = field(repr=False, compare=False)

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @cached_property
    def memory(self) -> Memory:
        """Bytes of parameters and activations, for `batch` samples."""
        return memory(self.graph, self.batch)

    @cached_property
    def receptive_fields(self) -> tuple[ReceptiveField, ...]:
        """The input that one element of each node's output sees, by node."""
        return receptive_fields(self.graph)

    def by(self, what: Literal["block", "row"]) -> tuple[GroupTotals, ...]:
        """Return totals for each row of the network, or for each block."""
        grouped = groups.rows if what == "row" else groups.blocks
        return tuple(grouped(self.graph, self.layers))

    def _repr_html_(self) -> str:
        lines = "<br>".join(map(escape, summary(self)))
        return f"{tables.html(row_table(self))}<p>{lines}</p>"


def stats(subject: Graph | HasGraph, *, train: bool = False, batch: int = 1) -> Stats:
    """Return the figures of a spec or a graph; `train` lists the layers of train-only heads too."""
    graph = graph_of(subject)
    layers = tuple(count.layers(graph))
    inference = tuple(layer for layer in layers if not layer.head)
    main = graph.heads[0].node
    return Stats(
        name=graph.name,
        input=graph.input,
        params=sum(layer.params for layer in inference),
        params_with_aux=sum(layer.params for layer in layers),
        macs=sum(layer.macs for layer in inference),
        macs_with_aux=sum(layer.macs for layer in layers),
        depth=groups.longest(graph.nodes)[main],
        depth_with_pools=groups.longest(graph.nodes, ("layer", "pool"))[main],
        running_stats=sum(layer.running_stats for layer in inference),
        layers=layers if train else inference,
        heads=tuple(count.heads(graph, layers)),
        train=train,
        batch=batch,
        graph=graph,
    )


def row_table(stats: Stats) -> tables.Table:
    """Return a table with a line for each row of the network."""
    columns = (
        *map(tables.Column, ("row", "type", "output")),
        *tables.number_columns("depth", "params", "MACs"),
    )
    rows = tuple(
        (g.name, g.type, format_shape(g.output), g.depth, g.params, g.macs) for g in stats.by("row")
    )
    params = sum(layer.params for layer in stats.layers)
    macs = sum(layer.macs for layer in stats.layers)
    return tables.Table(columns, rows, ("total", "", "", stats.depth, params, macs))


def summary(stats: Stats) -> list[str]:
    """Return the lines that describe the whole network."""
    has_aux = any(head.train_only for head in stats.heads)

    def with_aux(count: int, total: int) -> str:
        return f"{count:,}" + (f" ({total:,} with train-only heads)" if has_aux else "")

    params = with_aux(stats.params, stats.params_with_aux)
    if stats.running_stats:
        params += f", {stats.running_stats:,} running statistics"
    memory = stats.memory
    lines = {
        "params": params,
        "MACs": with_aux(stats.macs, stats.macs_with_aux) + f", {stats.flops:,} FLOPs",
        "depth": f"{stats.depth:,} ({stats.depth_with_pools:,} with pools)",
        "memory": f"{_bytes(memory.params + memory.running_stats)} of parameters in float32",
        "": f"{_bytes(memory.peak)} peak activations at inference, "
        f"{_bytes(memory.training)} kept in training, for a batch of {stats.batch:,}",
    }
    title = visible(f"{stats.name}, input {format_shape(stats.input)}")
    return [title, *(f"{label:<7} {text}" for label, text in lines.items())]


def _bytes(count: int) -> str:
    """1536 -> 1.5 KiB."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
    size = float(count)
    unit = 0
    while size >= 1024 and unit < len(units) - 1:
        size /= 1024
        unit += 1
    return f"{size:,.1f} {units[unit]}"
