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
    from archspec.codegen.classes import EmittedClass


@dataclass(eq=False)
class TreeNode:
    """Something in a class: `name` as the spec spells it, `levels` its place in neutral names, `attr` its attribute.

    `inputs` and `outputs` are the values that enter and leave it, `last` is the last that it computes.
    """

    name: str
    path_parts: tuple[str, ...]
    scope: Scope
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    last_value: int
    row: bool = False
    attr: str = ""

    @property
    def operands(self) -> tuple[int, ...]:
        """What it reads, in the op's order; a merge may read a value twice."""
        return self.inputs


@dataclass(eq=False, kw_only=True)
class LayerCall(TreeNode):
    """A single layer."""

    node: Node
    module: Module


@dataclass(eq=False, kw_only=True)
class MergeCall(TreeNode):
    """A merge."""

    node: Node
    merge: Merge

    @property
    def operands(self) -> tuple[int, ...]:
        return self.node.inputs


@dataclass(eq=False, slots=True)
class LoopSegment:
    """Iterations that one loop can build: equal in structure, their values equal or growing evenly."""

    start: int
    iterations: list[TreeNode]


@dataclass(eq=False, kw_only=True)
class Sequential(TreeNode):
    """Layers one after the other. The iterations of a repeat are numbered, and cut into runs."""

    children: list[TreeNode]
    numbered: bool = False
    segments: list[LoopSegment] = field(default_factory=list[LoopSegment])


@dataclass(eq=False, kw_only=True)
class ModuleList(TreeNode):
    """Iterations that the class around them calls one by one."""

    children: list[TreeNode]


@dataclass(eq=False, kw_only=True)
class Instance(TreeNode):
    """A scope with a class of its own; `index` is its place among the instances of `cls`, once that is known."""

    children: list[TreeNode]
    cls: EmittedClass | None = None
    index: int = 0

    def calls(self) -> Iterator[TreeNode]:
        """What values pass: the parts, and the items of lists."""
        for part in self.children:
            if isinstance(part, ModuleList):
                yield from part.children
            else:
                yield part


def flatten(parts: list[TreeNode]) -> Iterator[TreeNode]:
    """The parts of a class, those of its sequences and lists in place of these."""
    for part in parts:
        if isinstance(part, Sequential | ModuleList):
            yield from flatten(part.children)
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

    def part(self, item: Scope | Node) -> TreeNode:
        if isinstance(item, Node):
            return self.layer(item)
        whole = self.region(item)
        only = whole.children[0]
        if len(whole.children) == 1 and isinstance(
            only, LayerCall | Instance if item.block else LayerCall | Sequential | Instance
        ):
            return replace(
                only, name=item.name, path_parts=(item.name, *only.path_parts), row=item.row
            )
        if item.kind in ("branch", "repeat") and _is_chain(whole):
            return Sequential(
                **_common(whole), children=whole.children, numbered=_is_whole_repeat(item)
            )
        if _is_whole_repeat(item):
            inner = [
                replace(part, path_parts=(item.name, *part.path_parts)) for part in whole.children
            ]
            return ModuleList(**_common(whole), children=inner)
        return whole

    def layer(self, node: Node) -> TreeNode:
        lowered = self.dialect.lower(node.op, *self.graph.inputs(node))
        inputs = tuple(dict.fromkeys(node.inputs))
        shared = TreeNode(
            node.name, (node.name,), node.scope, inputs, (node.index,), node.index, node.row
        )
        if isinstance(lowered, Merge):
            return MergeCall(**_common(shared), node=node, merge=lowered)
        return LayerCall(**_common(shared), node=node, module=lowered)

    def region(self, scope: Scope) -> Instance:
        parts = [self.part(item) for item in self.items[scope]]
        last = max((part.last_value for part in parts), default=0)
        end = max((self.ends[part.outputs[0]] for part in parts), default=0)
        called = [part for part in parts if self.ends[part.outputs[0]] == end]
        made = {value for part in called for value in part.outputs}
        inputs = tuple(dict.fromkeys(v for part in called for v in part.inputs if v not in made))
        outputs = tuple(sorted(v for v in made if self.last_reader.get(v, -1) > last))
        shared = TreeNode(
            scope.name,
            (scope.name,),
            scope,
            inputs,
            outputs or (max(made, default=0),),
            last,
            scope.row,
        )
        return Instance(**_common(shared), children=parts)


def _common(part: TreeNode) -> dict[str, Any]:
    return {field.name: getattr(part, field.name) for field in fields(TreeNode)}


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


def build_tree(graph: Graph, dialect: Dialect) -> Instance:
    """The whole graph as the parts of its top class."""
    whole = _Builder(graph, dialect).region(graph.root)
    # Heads come last, wherever the spec attaches them.
    parts = sorted(
        whole.children, key=lambda part: any(scope.kind == "head" for scope in part.scope.chain())
    )
    return replace(
        whole, inputs=(0,), outputs=tuple(head.node for head in graph.heads), children=parts
    )


def _is_whole_repeat(scope: Scope) -> bool:
    """Whether a scope is a repeat as a whole; its children are the iterations, of the same kind."""
    return scope.kind == "repeat" and (scope.parent is None or not _is_whole_repeat(scope.parent))


def _is_chain(whole: Instance) -> bool:
    parts = whole.children
    return (
        all(
            isinstance(part, LayerCall | Sequential | Instance)
            and len(part.inputs) == len(part.outputs) == 1
            for part in parts
        )
        and all(before.outputs == after.inputs for before, after in pairwise(parts))
        and (parts[0].inputs, parts[-1].outputs) == (whole.inputs, whole.outputs)
    )
