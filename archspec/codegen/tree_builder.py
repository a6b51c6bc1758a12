"""Fold a graph's flat list of nodes into its module tree.

A scope with a single layer, or a single scope that has a class, is that child under the scope's
name. A branch or an iteration that is a chain of layers is a sequence. A repeat whose iterations
are read one by one is a module list. Any other scope gets a class.

A node that no output needs is in the tree for its weights, but it is not called, and no value is
carried to it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

from archspec.backend import lowering
from archspec.codegen.dialect import Dialect
from archspec.codegen.lowering import Merge
from archspec.codegen.module_tree import (
    Instance,
    LayerCall,
    MergeCall,
    ModuleList,
    Sequential,
    TreeNode,
)
from archspec.codegen.scopes import is_whole_repeat
from archspec.ir.graph import Graph, Node, Scope


def build_tree(graph: Graph, dialect: Dialect) -> Instance:
    """Return the whole graph as the one instance of its top class."""
    top = _Builder(graph, dialect).instance(graph.root)
    # Heads come last, wherever the spec attaches them.
    children = sorted(
        top.children, key=lambda child: any(scope.kind == "head" for scope in child.scope.chain())
    )
    outputs = tuple(head.node for head in graph.heads)
    return replace(top, inputs=(0,), outputs=outputs, children=children)


class _Builder:
    def __init__(self, graph: Graph, dialect: Dialect) -> None:
        self.graph = graph
        self.dialect = dialect
        self.items: dict[Scope, list[Scope | Node]] = {graph.root: []}
        self.last_uses = _last_uses(graph)
        self.last_reader: dict[int, int] = {}
        for node in graph.nodes[1:]:
            self.add_to_scopes(node)
            self.last_reader.update(
                (value, node.index)
                for value in node.inputs
                if self.last_uses[value] == self.last_uses[node.index]
            )
        self.last_reader.update((head.node, len(graph.nodes)) for head in graph.heads)

    def add_to_scopes(self, node: Node) -> None:
        """Enter a node, and the scopes that begin with it, in the lists of their parents."""
        child: Scope | Node = node
        for scope in node.scope.chain():
            is_open = scope in self.items
            self.items.setdefault(scope, []).append(child)
            if is_open:
                break
            child = scope

    def tree_node(self, item: Scope | Node) -> TreeNode:
        """Return the tree node for a graph node or a scope."""
        if isinstance(item, Node):
            return self.layer_or_merge(item)
        instance = self.instance(item)
        if _stands_for_its_child(instance, is_block=bool(item.block)):
            child = instance.children[0]
            parts = (item.name, *child.path_parts)
            return replace(child, name=item.name, path_parts=parts, row=item.row)
        if item.kind in ("branch", "repeat") and _is_chain(instance):
            numbered = is_whole_repeat(item)
            return Sequential(
                **_common_fields(instance), children=instance.children, numbered=numbered
            )
        if is_whole_repeat(item):
            children = [
                replace(child, path_parts=(item.name, *child.path_parts))
                for child in instance.children
            ]
            return ModuleList(**_common_fields(instance), children=children)
        return instance

    def layer_or_merge(self, node: Node) -> TreeNode:
        with lowering(node):
            lowered = self.dialect.lower(node.op, *self.graph.inputs(node))
        common = TreeNode(
            name=node.name,
            path_parts=(node.name,),
            scope=node.scope,
            inputs=tuple(dict.fromkeys(node.inputs)),
            outputs=(node.index,),
            last_value=node.index,
            row=node.row,
        )
        if isinstance(lowered, Merge):
            return MergeCall(**_common_fields(common), node=node, merge=lowered)
        return LayerCall(**_common_fields(common), node=node, module=lowered)

    def instance(self, scope: Scope) -> Instance:
        """Return a scope as an instance of a class, with the values that enter and leave it."""
        children = [self.tree_node(item) for item in self.items[scope]]
        last_value = max((child.last_value for child in children), default=0)
        last_use = max((self.last_uses[child.outputs[0]] for child in children), default=0)
        # Children that only earlier values need are not called: they add no inputs and outputs.
        called = [child for child in children if self.last_uses[child.outputs[0]] == last_use]
        computed = {value for child in called for value in child.outputs}
        inputs = dict.fromkeys(
            value for child in called for value in child.inputs if value not in computed
        )
        read_later = (v for v in computed if self.last_reader.get(v, -1) > last_value)
        return Instance(
            name=scope.name,
            path_parts=(scope.name,),
            scope=scope,
            inputs=tuple(inputs),
            outputs=tuple(sorted(read_later)) or (max(computed, default=0),),
            last_value=last_value,
            row=scope.row,
            children=children,
        )


def _common_fields(node: TreeNode) -> dict[str, Any]:
    return {field.name: getattr(node, field.name) for field in fields(TreeNode)}


def _last_uses(graph: Graph) -> list[int]:
    """Return, for each value, the last node that needs it; an output is needed after all nodes.

    A node that reads a value but is itself needed only for something earlier does not count as a
    reader: nothing has to carry the value to it. The result is the same within a call that no
    output needs, so that such a call shares a class with calls that an output does need.
    """
    last_uses = list(range(len(graph.nodes)))
    for head in graph.heads:
        last_uses[head.node] = len(graph.nodes)
    for node in reversed(graph.nodes):
        for value in node.inputs:
            last_uses[value] = max(last_uses[value], last_uses[node.index])
    return last_uses


def _stands_for_its_child(instance: Instance, *, is_block: bool) -> bool:
    """Return whether a scope has a single child and needs no class around it."""
    if len(instance.children) != 1:
        return False
    # A block that holds one sequence keeps its class, which has the block's name and parameters.
    transparent = LayerCall | Instance if is_block else LayerCall | Sequential | Instance
    return isinstance(instance.children[0], transparent)


def _is_chain(instance: Instance) -> bool:
    """Return whether the children pass one value along, from the input to the output."""
    children = instance.children
    if not all(_passes_one_value(child) for child in children):
        return False
    if not all(before.outputs == after.inputs for before, after in pairwise(children)):
        return False
    ends = (children[0].inputs, children[-1].outputs)
    return ends == (instance.inputs, instance.outputs)


def _passes_one_value(node: TreeNode) -> bool:
    if not isinstance(node, LayerCall | Sequential | Instance):
        return False
    return len(node.inputs) == len(node.outputs) == 1
