"""Form the emitted classes: scopes of one block with the same structure share one.

What differs between them becomes the class's parameters. Classes are formed from the inside out,
so that the signature of a scope can name the classes of the scopes within it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable

from archspec.codegen.dialect import Dialect
from archspec.codegen.module_tree import (
    EmittedClass,
    Instance,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
    instances_in,
)
from archspec.codegen.names import Namespace
from archspec.codegen.scopes import role, scopes_to_block
from archspec.codegen.signature import signature
from archspec.ir.graph import Graph


def form_classes(
    graph: Graph,
    top: Instance,
    dialect: Dialect,
    taken: Collection[str],
    resolve: Callable[[EmittedClass], None],
) -> list[EmittedClass]:
    """Return every class, inner ones first, the network's own last.

    No class gets a name that is `taken`. `resolve` sets the parameters and constructors of each.
    """
    # A signature names the classes of inner scopes, so these have to be formed before.
    by_height: dict[int, list[Instance]] = {}
    _sort_by_height(top, by_height)
    for height in sorted(by_height):
        by_signature: dict[Hashable, list[Instance]] = {}
        for instance in by_height[height]:
            key = signature(instance, dialect.portable_paths)
            by_signature.setdefault(key, []).append(instance)
        for instances in by_signature.values():
            cls = EmittedClass("", instances, dialect)
            for index, instance in enumerate(instances):
                instance.cls = cls
                instance.index = index
                _set_attributes(instance.children, dialect)
            resolve(cls)
    classes = _dependencies_first(top)
    _name_classes(graph, classes, dialect, taken)
    return classes


def _name_classes(
    graph: Graph, classes: list[EmittedClass], dialect: Dialect, taken: Collection[str]
) -> None:
    *inner, network = classes
    # A parameter or a local variable of the same name would hide the class where it is used.
    namespace = Namespace(*taken, *(param.name for cls in classes for param in cls.params))
    namespace.taken.update(call.attr for call in network.example.calls())
    network.name = namespace.unique(dialect.class_name(graph.name), dialect.number_prefix)
    namespace.unique(f"{network.name}Output")
    if dialect.portable_paths:
        # Layers are named apart from blocks, so the most used form of a block gets its plain name.
        inner.sort(key=lambda cls: -len(cls.instances))
    for cls in inner:
        name = _block_name(cls, network.name, dialect)
        cls.name = namespace.unique(name, dialect.number_prefix)


def _block_name(cls: EmittedClass, network_name: str, dialect: Dialect) -> str:
    """Return the name of a class after its block, and its role where it is only a part of that."""
    block = scopes_to_block(cls.scope)[-1]
    name = network_name if block.kind == "network" else dialect.class_name(block.block)
    if block is cls.scope:
        return name
    return dialect.class_name(f"{name} {role(cls.scope)}")


def _sort_by_height(instance: Instance, by_height: dict[int, list[Instance]]) -> int:
    """Sort instances by how deep the classes within them are nested."""
    inner = [_sort_by_height(inner, by_height) + 1 for inner in instances_in(instance.children)]
    height = max(inner, default=0)
    by_height.setdefault(height, []).append(instance)
    return height


def _dependencies_first(top: Instance) -> list[EmittedClass]:
    """Return the classes as they are met, each after those that it uses."""
    seen: dict[EmittedClass, None] = {}

    def visit(instance: Instance) -> None:
        if instance.cls is not None and instance.cls not in seen:
            for inner in instances_in(instance.children):
                visit(inner)
            seen[instance.cls] = None

    visit(top)
    return list(seen)


def _set_attributes(children: list[TreeNode], dialect: Dialect, numbered: bool = False) -> None:
    """Set the attribute that holds each child, or its key in a sequence."""
    namespace = Namespace()
    for number, child in enumerate(children):
        if isinstance(child, MergeCall):
            continue  # a merge is an expression, which no attribute holds
        if numbered:
            child.attr = str(number)
        else:
            child.attr = namespace.unique(dialect.identifier(child.name))
        if isinstance(child, ModuleList):
            _set_attributes(child.children, dialect, numbered=True)
        elif isinstance(child, Sequential):
            _set_attributes(child.children, dialect, child.numbered)
