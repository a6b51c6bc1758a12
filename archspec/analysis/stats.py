"""What a network costs: parameters, multiply-adds and depth, whole, by layer, block or row.

>>> from archspec.diagnostics import Source
>>> from archspec.ir.graph import Graph, Head, Input, Node, Scope
>>> from archspec.ops import OPS
>>> root = Scope("net", "network", at := Source("net.yaml", "").start)
>>> conv = OPS["conv"](out=4, kernel=3)
>>> nodes = (Node(0, "input", Input(), (), (3, 8, 8), root, at), Node(1, "conv", conv, (0,), (4, 6, 6), root, at))
>>> whole = stats(Graph("net", nodes, (Head("main", 1),), root))
>>> whole.params, whole.macs, whole.flops, whole.depth
(112, 3888, 7776, 1)

Params are trainable values; moving statistics are listed apart. MACs are the multiply-adds of convolutions and linear
layers for one sample, biases not counted; FLOPs are twice that. Train-only heads count in the `_with_aux` figures only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from archspec.analysis import HasGraph, count, graph_of, groups
from archspec.analysis.count import HeadStats, Layer
from archspec.analysis.groups import Group
from archspec.analysis.memory import Memory, memory
from archspec.analysis.receptive import Field, receptive
from archspec.ir.graph import Graph
from archspec.ir.types import Shape


@dataclass(frozen=True)
class Stats:
    """A network's figures. `layers` are in execution order, those of train-only heads among them where `train` is set;
    `moving` counts the values that are not trained, in the inference graph."""

    name: str
    input: Shape
    params: int
    params_with_aux: int
    macs: int
    macs_with_aux: int
    depth: int
    depth_with_pools: int
    moving: int
    layers: tuple[Layer, ...]
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
    def receptive(self) -> tuple[Field, ...]:
        """What one element of each node's output sees of the input, by node."""
        return receptive(self.graph)

    def by(self, what: Literal["block", "row"]) -> tuple[Group, ...]:
        """Totals for each row of the network, or for each block."""
        return tuple((groups.rows if what == "row" else groups.blocks)(self.graph, self.layers))

    def _repr_html_(self) -> str:
        from archspec.analysis.report import render_html

        return render_html(self)


def stats(subject: Graph | HasGraph, *, train: bool = False, batch: int = 1) -> Stats:
    """The figures of a spec or a graph; with `train`, the layers of train-only heads are listed too."""
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
        moving=sum(layer.moving for layer in inference),
        layers=layers if train else inference,
        heads=tuple(count.heads(graph, layers)),
        train=train,
        batch=batch,
        graph=graph,
    )
