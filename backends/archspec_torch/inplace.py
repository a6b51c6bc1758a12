"""Which ReLUs may overwrite their input: those whose input nothing else reads and no backward pass needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from archspec.codegen.module_tree import Instance, LayerCall, flatten
from archspec.ir.graph import Graph

# What these compute is a tensor of its own, which their gradients are not computed from.
FREE = frozenset(("conv", "conv_transpose", "linear", "batch_norm", "concat", "add", "multiply"))


def overwrite_inputs(graph: Graph, top: Instance) -> None:
    """Lets the ReLUs of the whole network work in place where it cannot be noticed; never on what a class is given."""
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
                    graph.nodes[read].op.kind in FREE
                    and readers[read] == 1
                    and read not in instance.inputs
                ):
                    args = tuple(
                        replace(arg, value=True) if arg.name == "inplace" else arg
                        for arg in part.module.args
                    )
                    part.module = replace(part.module, args=args)
