"""The module tree of a graph: layers, sequences of layers, and scopes with a class of their own.

`tree_builder` folds a graph's flat list of nodes into this tree. `classes` groups its instances
into emitted classes. A dialect without classes emits a function for each of them instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from archspec.codegen.dialect import Dialect
from archspec.codegen.lowering import Merge, Module
from archspec.ir.expr import Expr
from archspec.ir.graph import Node, Scope


@dataclass(eq=False)
class TreeNode:
    """A node of the tree.

    `name` is spelled as in the spec, `path_parts` is its path below its parent in portable names,
    `attr` the attribute that holds it. `inputs` and `outputs` are the graph values that enter and
    leave it, `last_value` is the last that it computes. `row` marks a row of a spec's table.
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
        """The values it reads, in the op's order; a merge may read one of them twice."""
        return self.inputs


@dataclass(eq=False, kw_only=True)
class LayerCall(TreeNode):
    """A single layer."""

    node: Node
    module: Module


@dataclass(eq=False, kw_only=True)
class MergeCall(TreeNode):
    """A merge of several values."""

    node: Node
    merge: Merge

    @property
    def operands(self) -> tuple[int, ...]:
        return self.node.inputs


@dataclass(eq=False, slots=True)
class LoopSegment:
    """Iterations that one loop can build: equal in structure, their values equal or growing evenly.

    `start` is the number of its first iteration within the repeat.
    """

    start: int
    iterations: list[TreeNode]


@dataclass(eq=False, kw_only=True)
class Sequential(TreeNode):
    """Layers one after the other; iterations of a repeat are numbered and cut into segments."""

    children: list[TreeNode]
    numbered: bool = False
    segments: list[LoopSegment] = field(default_factory=list[LoopSegment])


@dataclass(eq=False, kw_only=True)
class ModuleList(TreeNode):
    """Iterations that the enclosing class calls one by one."""

    children: list[TreeNode]


@dataclass(eq=False, kw_only=True)
class Instance(TreeNode):
    """A scope with a class of its own.

    `cls` is that class once classes are formed, `index` the position among the class's instances.
    """

    children: list[TreeNode]
    cls: EmittedClass | None = None
    index: int = 0

    def calls(self) -> Iterator[TreeNode]:
        """Iterate over what values pass through: the children, and the items of module lists."""
        for child in self.children:
            if isinstance(child, ModuleList):
                yield from child.children
            else:
                yield child


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a class, its value in each instance, and where the value comes from.

    `source` is ("arg", name, attribute) for a block's argument, ("global", name) for one of the
    network, ("in", number) for the channels of an input, ("new",) for a value that only the
    instances know. `default` is None where there is none.
    """

    name: str
    values: tuple[Any, ...]
    source: tuple[Any, ...]
    keyword: bool = False
    default: Any = None


@dataclass(eq=False)
class EmittedClass:
    """A class (or function) of the emitted file, and the instances that share it.

    `input_channels` names the channels of its inputs. `output_channels` gives those of its outputs
    in terms of its parameters and inputs, None where that is not possible. `equal_channels` are
    pairs that must agree because the class adds or multiplies them. `lost` are the sources of names
    that a value depends on without containing them. `constructors` is the code that
    builds each child of `example`.
    """

    name: str
    instances: list[Instance]
    dialect: Dialect
    params: list[Param] = field(default_factory=list[Param])
    input_channels: tuple[str, ...] = ()
    output_channels: tuple[Expr | None, ...] = ()
    equal_channels: tuple[tuple[Expr, Expr], ...] = ()
    lost: frozenset[tuple[Any, ...]] = frozenset()
    constructors: dict[TreeNode, Any] = field(default_factory=dict[TreeNode, Any])

    @property
    def example(self) -> Instance:
        """The instance that the source is written from, whose children `constructors` builds."""
        return self.instances[0]

    @property
    def scope(self) -> Scope:
        return self.example.scope


def flatten(nodes: list[TreeNode]) -> Iterator[TreeNode]:
    """Iterate over nodes, with sequences and lists replaced by their children."""
    for node in nodes:
        if isinstance(node, Sequential | ModuleList):
            yield from flatten(node.children)
        else:
            yield node


def instances_in(nodes: list[TreeNode]) -> Iterator[Instance]:
    """Iterate over the instances among nodes, including those in sequences and lists."""
    return (node for node in flatten(nodes) if isinstance(node, Instance))
