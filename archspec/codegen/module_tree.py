"""A graph's flat list as parts inside parts: what becomes a layer, a sequence of layers, or a class of its own.

A scope with one layer, or with one scope that has a class, is that under its own name; a branch or an iteration that
is a chain is a sequence; a repeat whose iterations are read one by one is a list; any other scope gets a class. Where
the dialect has no classes, read function.

What no output needs is a part too, for its weights, but it is not called, and no value is carried to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from archspec.codegen.dialect import Dialect
from archspec.codegen.lowering import Merge, Module
from archspec.ir.graph import Graph, Node, Scope

if TYPE_CHECKING:
    from archspec.codegen.classes import Class


@dataclass(eq=False)
class Part:
    """Something in a class: `name` as the spec spells it, `levels` its place in neutral names, `attr` its attribute.

    `inputs` and `outputs` are the values that enter and leave it, `last` is the last that it computes.
    """

    name: str
    levels: tuple[str, ...]
    scope: Scope
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    last: int
    row: bool = False
    attr: str = ""

    @property
    def operands(self) -> tuple[int, ...]:
        """What it reads, in the op's order; a merge may read a value twice."""
        return self.inputs


@dataclass(eq=False, kw_only=True)
class Leaf(Part):
    """A single layer."""

    node: Node
    module: Module


@dataclass(eq=False, kw_only=True)
class Join(Part):
    """A merge."""

    node: Node
    merge: Merge

    @property
    def operands(self) -> tuple[int, ...]:
        return self.node.inputs


@dataclass(eq=False, slots=True)
class Run:
    """Iterations that one loop can build: equal in structure, their values equal or growing evenly."""

    start: int
    parts: list[Part]


@dataclass(eq=False, kw_only=True)
class Chain(Part):
    """Layers one after the other. The iterations of a repeat are numbered, and cut into runs."""

    parts: list[Part]
    numbered: bool = False
    runs: list[Run] = field(default_factory=list[Run])


@dataclass(eq=False, kw_only=True)
class Several(Part):
    """Iterations that the class around them calls one by one."""

    parts: list[Part]


@dataclass(eq=False, kw_only=True)
class Instance(Part):
    """A scope with a class of its own; `index` is its place among the instances of `cls`, once that is known."""

    parts: list[Part]
    cls: Class | None = None
    index: int = 0

    def steps(self) -> Iterator[Part]:
        """What values pass: the parts, and the items of lists."""
        for part in self.parts:
            if isinstance(part, Several):
                yield from part.parts
            else:
                yield part


def unfolded(parts: list[Part]) -> Iterator[Part]:
    """The parts of a class, those of its sequences and lists in place of these."""
    for part in parts:
        if isinstance(part, Chain | Several):
            yield from unfolded(part.parts)
        else:
            yield part


class _Builder:
    def __init__(self, graph: Graph, dialect: Dialect) -> None:
        self.graph, self.dialect = graph, dialect
        self.items: dict[Scope, list[Scope | Node]] = {graph.root: []}
        self.ends = _ends(graph)
        self.last_reader: dict[int, int] = {}
        for node in graph.nodes[1:]:
            self.place(node)
            self.last_reader.update(
                (v, node.index) for v in node.inputs if self.ends[v] == self.ends[node.index]
            )
        self.last_reader.update((head.node, len(graph.nodes)) for head in graph.heads)

    def place(self, node: Node) -> None:
        """Enters a node, and the scopes that begin with it, in the lists of their parents."""
        child: Scope | Node = node
        for scope in node.scope.chain():
            known = scope in self.items
            self.items.setdefault(scope, []).append(child)
            if known:
                break
            child = scope

    def part(self, item: Scope | Node) -> Part:
        if isinstance(item, Node):
            return self.layer(item)
        whole = self.region(item)
        only = whole.parts[0]
        if len(whole.parts) == 1 and isinstance(
            only, Leaf | Instance if item.block else Leaf | Chain | Instance
        ):
            return replace(only, name=item.name, levels=(item.name, *only.levels), row=item.row)
        if item.kind in ("branch", "repeat") and _is_chain(whole):
            return Chain(**_common(whole), parts=whole.parts, numbered=_holds_iterations(item))
        if _holds_iterations(item):
            inner = [replace(part, levels=(item.name, *part.levels)) for part in whole.parts]
            return Several(**_common(whole), parts=inner)
        return whole

    def layer(self, node: Node) -> Part:
        lowered = self.dialect.lower(node.op, *self.graph.inputs(node))
        inputs = tuple(dict.fromkeys(node.inputs))
        shared = Part(
            node.name, (node.name,), node.scope, inputs, (node.index,), node.index, node.row
        )
        if isinstance(lowered, Merge):
            return Join(**_common(shared), node=node, merge=lowered)
        return Leaf(**_common(shared), node=node, module=lowered)

    def region(self, scope: Scope) -> Instance:
        parts = [self.part(item) for item in self.items[scope]]
        last = max((part.last for part in parts), default=0)
        end = max((self.ends[part.outputs[0]] for part in parts), default=0)
        called = [part for part in parts if self.ends[part.outputs[0]] == end]
        made = {value for part in called for value in part.outputs}
        inputs = tuple(dict.fromkeys(v for part in called for v in part.inputs if v not in made))
        outputs = tuple(sorted(v for v in made if self.last_reader.get(v, -1) > last))
        shared = Part(
            scope.name,
            (scope.name,),
            scope,
            inputs,
            outputs or (max(made, default=0),),
            last,
            scope.row,
        )
        return Instance(**_common(shared), parts=parts)


def _common(part: Part) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in fields(Part)}


def _ends(graph: Graph) -> list[int]:
    """What each value is for, as the last node that needs it; an output comes after all nodes.

    What reads a value and is itself for something earlier is aside: nothing has to carry the value there. That is the
    same within a call that no output needs, so that such a call has the class of those that one does.
    """
    ends = list(range(len(graph.nodes)))
    for head in graph.heads:
        ends[head.node] = len(graph.nodes)
    for node in reversed(graph.nodes):
        for value in node.inputs:
            ends[value] = max(ends[value], ends[node.index])
    return ends


def network(graph: Graph, dialect: Dialect) -> Instance:
    """The whole graph as the parts of its top class."""
    whole = _Builder(graph, dialect).region(graph.root)
    # Heads come last, wherever the spec attaches them.
    parts = sorted(
        whole.parts, key=lambda part: any(scope.kind == "head" for scope in part.scope.chain())
    )
    return replace(
        whole, inputs=(0,), outputs=tuple(head.node for head in graph.heads), parts=parts
    )


def _holds_iterations(scope: Scope) -> bool:
    """Whether a scope is a repeat as a whole; its children are the iterations, of the same kind."""
    return scope.kind == "repeat" and (scope.parent is None or not _holds_iterations(scope.parent))


def _is_chain(whole: Instance) -> bool:
    parts = whole.parts
    return (
        all(
            isinstance(part, Leaf | Chain | Instance) and len(part.inputs) == len(part.outputs) == 1
            for part in parts
        )
        and all(before.outputs == after.inputs for before, after in pairwise(parts))
        and (parts[0].inputs, parts[-1].outputs) == (whole.inputs, whole.outputs)
    )
