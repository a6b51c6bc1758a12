"""The checked network: a flat list of nodes in execution order, each with the scope it is from.

A value is the index of the node that computes it; node 0 is the input. Scopes form a tree: network,
block instances, branches of merges, iterations of repeats, heads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

from archspec.diagnostics import Span
from archspec.ir.expr import Expr
from archspec.ir.op import Op, ParamSpec
from archspec.ir.types import Shape, format_shape

ScopeKind = Literal["network", "block", "branch", "repeat", "head"]


class Input(Op):
    """The network's input; a graph's node 0."""

    kind = "input"
    family = "input"


@dataclass(frozen=True, eq=False)
class Scope:
    """The part of a spec that nodes were written in.

    `args` are a block instance's arguments by the spec's names, or a repeat's counter; `exprs` are
    the expressions that some of them were given as, in terms of the parent's arguments. `defaults`
    are those of arguments that the block's own defaults give, in terms of the arguments before.
    """

    name: str
    kind: ScopeKind
    span: Span
    parent: Scope | None = None
    block: str = ""
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    exprs: Mapping[str, Expr] = field(default_factory=dict[str, Expr])
    row: bool = False
    doc: str = ""
    defaults: Mapping[str, Expr] = field(default_factory=dict[str, Expr])

    @cached_property
    def path(self) -> str:
        """`inception_3a.3x3.reduce`; empty for the network itself."""
        if self.parent is None:
            return ""
        return f"{self.parent.path}.{self.name}" if self.parent.path else self.name

    def chain(self) -> Iterator[Scope]:
        """Yield this scope, its parent, and so on up to the network."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One layer: its op, the nodes it reads, its output shape, and its location in the spec."""

    index: int
    name: str
    op: Op
    inputs: tuple[int, ...]
    shape: Shape
    scope: Scope
    span: Span
    exprs: Mapping[str, Expr] = field(default_factory=dict[str, Expr])
    init: Mapping[str, Any] = field(default_factory=dict[str, Any])
    row: bool = False

    @property
    def path(self) -> str:
        return f"{self.scope.path}.{self.name}" if self.scope.path else self.name


@dataclass(frozen=True, slots=True)
class Head:
    """An output of the network: the node that computes it and how it is trained."""

    name: str
    node: int
    loss: str = "cross_entropy"
    weight: float = 1.0
    train_only: bool = False
    classes: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure that the paper prints for the step at `path`, as spelt; `ops` are its MACs."""

    path: str
    quantity: Literal["params", "ops", "depth"]
    text: str
    span: Span


def _no_variant(args: Mapping[str, Any], /) -> None:
    """Stand for a spec that is not known, so that no other value of an argument is."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A network with all shapes resolved; `heads[0]` is the main output.

    `decisive` are the arguments on which the steps themselves depend, by a `when`, a `repeat` or a
    name; `sizing` those that sizes of windows or maps depend on. `vary` returns the network of the
    same spec with other values of some arguments, None if the spec has an error then.
    """

    name: str
    nodes: tuple[Node, ...]
    heads: tuple[Head, ...]
    root: Scope
    args: Mapping[str, Any] = field(default_factory=dict[str, Any])
    claims: tuple[Claim, ...] = ()
    decisive: frozenset[str] = frozenset()
    sizing: frozenset[str] = frozenset()
    vary: Callable[[Mapping[str, Any]], Graph | None] = _no_variant

    @property
    def input(self) -> Shape:
        return self.nodes[0].shape

    def inputs(self, node: Node) -> tuple[Shape, ...]:
        """Return the shapes of a node's inputs."""
        return tuple(self.nodes[i].shape for i in node.inputs)

    def params(self, node: Node) -> tuple[ParamSpec, ...]:
        return node.op.params(*self.inputs(node))

    def parameters(self) -> Iterator[tuple[str, Node, ParamSpec]]:
        """Yield every tensor of the network by its portable name, in execution order."""
        for node in self.nodes[1:]:
            for param in self.params(node):
                yield f"{node.path}.{param.role}", node, param

    def reachable(self, heads: tuple[Head, ...]) -> frozenset[int]:
        """Return the nodes that these heads need."""
        seen: set[int] = set()
        stack = [head.node for head in heads]
        while stack:
            index = stack.pop()
            if index not in seen:
                seen.add(index)
                stack.extend(self.nodes[index].inputs)
        return frozenset(seen)

    @cached_property
    def inference(self) -> frozenset[int]:
        """The nodes of the inference graph: those needed by heads that are not train-only."""
        return self.reachable(tuple(head for head in self.heads if not head.train_only))

    def __str__(self) -> str:
        """Return the graph as text, one node a line."""
        lines = [f"graph {self.name}"]
        for node in self.nodes:
            fields = ", ".join(
                f"{k}={_plain(v)}" for k, v in node.op.model_dump(exclude_defaults=True).items()
            )
            read = " ".join(f"%{i}" for i in node.inputs)
            call = f"{node.op.kind}({fields}) {read}"
            lines.append(f"  %{node.index} {node.path}: {call} -> {format_shape(node.shape)}")
        lines += [
            f"  {h.name} = %{h.node}" + (" (train only)" if h.train_only else "")
            for h in self.heads
        ]
        return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        parts = cast("tuple[Any, ...]", value)
        return format_shape(parts) if all(isinstance(part, int) for part in parts) else str(parts)
    return str(value)
