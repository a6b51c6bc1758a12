"""The classes to be written: scopes of one block with the same structure share one, its parameters their values.

Classes are formed from the inside out, so that a scope's structure can name the classes of the scopes within it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from archspec.codegen.dialect import Dialect
from archspec.codegen.module_tree import (
    Instance,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
    flatten,
)
from archspec.codegen.names import Namespace
from archspec.codegen.signature import role, scopes_to_block, signature
from archspec.ir.expr import Expr
from archspec.ir.graph import Graph, Scope


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a class, with its value in each instance and where that comes from.

    `source` is ("arg", name, attribute) of the block, ("global", name) of the network, ("in", number) for the channels
    of an input, ("new",) for a value that only the instances know.
    """

    name: str
    values: tuple[Any, ...]
    source: tuple[Any, ...]
    keyword: bool = False
    default: Any = None
    """Its default's value; None where it has none."""


@dataclass(eq=False)
class EmittedClass:
    """A class. `entries` name the channels of its inputs, `channels` says those of its outputs in the words of its
    parameters and entries, `equal` are pairs that have to agree for its merges; `code` is what its parts are built by.
    """

    name: str
    instances: list[Instance]
    dialect: Dialect
    params: list[Param] = field(default_factory=list[Param])
    input_channels: tuple[str, ...] = ()
    output_channels: tuple[Expr | None, ...] = ()
    equal_channels: tuple[tuple[Expr, Expr], ...] = ()
    constructors: dict[TreeNode, Any] = field(default_factory=dict[TreeNode, Any])

    @property
    def example(self) -> Instance:
        """The instance that the source is written from; its parts are the keys of `code`."""
        return self.instances[0]

    @property
    def scope(self) -> Scope:
        return self.example.scope


def form_classes(
    graph: Graph,
    top: Instance,
    dialect: Dialect,
    taken: Collection[str],
    resolve: Callable[[EmittedClass], None],
) -> list[EmittedClass]:
    """Every class, inner ones first, the network's own last; `resolve` settles the parameters of each."""
    heights: dict[int, list[Instance]] = {}
    _measure(top, heights)
    for height in sorted(heights):
        alike: dict[Hashable, list[Instance]] = {}
        for instance in heights[height]:
            alike.setdefault(signature(instance, dialect.portable_paths), []).append(instance)
        for instances in alike.values():
            cls = EmittedClass("", instances, dialect)
            for index, instance in enumerate(instances):
                instance.cls, instance.index = cls, index
                _name_parts(instance.children, dialect)
            resolve(cls)
    classes = _in_order(top)
    _name_classes(graph, classes, dialect, taken)
    return classes


def _name_classes(
    graph: Graph, classes: list[EmittedClass], dialect: Dialect, taken: Collection[str]
) -> None:
    # A parameter or a local variable of the same name would hide the class where it is used.
    space = Namespace(*taken, *(param.name for cls in classes for param in cls.params))
    space.taken.update(part.attr for part in classes[-1].example.calls())
    whole = classes[-1].name = space.unique(dialect.class_name(graph.name), dialect.number_prefix)
    space.unique(f"{whole}Output")
    # Of several forms of a block, the most usual has the block's own name where layers are named apart from it.
    inner = (
        sorted(classes[:-1], key=lambda cls: -len(cls.instances))
        if dialect.portable_paths
        else classes[:-1]
    )
    for cls in inner:
        block = scopes_to_block(cls.scope)[-1]
        name = whole if block.kind == "network" else dialect.class_name(block.block)
        name = name if block is cls.scope else dialect.class_name(f"{name} {role(cls.scope)}")
        cls.name = space.unique(name, dialect.number_prefix)


def _measure(instance: Instance, heights: dict[int, list[Instance]]) -> int:
    """Sorts instances by how deep the classes within them go."""
    height = max(
        (_measure(inner, heights) + 1 for inner in instances_in(instance.children)), default=0
    )
    heights.setdefault(height, []).append(instance)
    return height


def instances_in(parts: list[TreeNode]) -> Iterator[Instance]:
    """The instances among parts, those in sequences and lists too."""
    return (part for part in flatten(parts) if isinstance(part, Instance))


def _in_order(top: Instance) -> list[EmittedClass]:
    """The classes as they are met, each after those it uses."""
    seen: dict[EmittedClass, None] = {}

    def visit(instance: Instance) -> None:
        if instance.cls is not None and instance.cls not in seen:
            for inner in instances_in(instance.children):
                visit(inner)
            seen[instance.cls] = None

    visit(top)
    return list(seen)


def _name_parts(parts: list[TreeNode], dialect: Dialect, numbered: bool = False) -> None:
    """Gives every part the attribute that holds it, or its key in a sequence."""
    space = Namespace()
    for number, part in enumerate(parts):
        if not isinstance(part, MergeCall):
            part.attr = str(number) if numbered else space.unique(dialect.identifier(part.name))
        if isinstance(part, Sequential | ModuleList):
            _name_parts(part.children, dialect, isinstance(part, ModuleList) or part.numbered)
