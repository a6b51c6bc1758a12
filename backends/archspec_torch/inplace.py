"""ReLUs that overwrite their input: nothing else reads it, and no backward pass needs it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from archspec.codegen.module_tree import Instance, LayerCall, flatten
from archspec.ir.graph import Graph

OVERWRITABLE = frozenset(
    ("conv", "conv_transpose", "linear", "batch_norm", "concat", "add", "multiply")
)
"""The ops whose output is a new tensor that their gradient does not need."""


def overwrite_inputs(graph: Graph, top: Instance) -> None:
    """Make ReLUs of the network work in place if no result changes; never on a class's own
    input."""
    readers = Counter(value for node in graph.nodes for value in node.inputs)
    readers.update(head.node for head in graph.heads)
    stack = [top]
    while stack:
        instance = stack.pop()
        for part in flatten(instance.children):
            if isinstance(part, Instance):
                stack.append(part)
            elif isinstance(part, LayerCall) and part.node.op.kind == "relu":
                (read,) = part.inputs
                if (
                    graph.nodes[read].op.kind in OVERWRITABLE
                    and readers[read] == 1
                    and read not in instance.inputs
                ):
                    args = tuple(
                        replace(arg, value=True) if arg.name == "inplace" else arg
                        for arg in part.module.args
                    )
                    part.module = replace(part.module, args=args)
