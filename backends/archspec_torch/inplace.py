"""Which ReLUs may overwrite their input: those whose input nothing else reads and no backward pass needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from archspec.graph import Graph
from archspec.source.classes import within
from archspec.source.parts import Chain, Instance, Leaf, Part, Several

# What these compute is a tensor of its own, which their gradients are not computed from.
FREE = frozenset(("conv", "conv_transpose", "linear", "batch_norm", "concat", "add", "multiply"))


def overwrite_inputs(graph: Graph, top: Instance) -> None:
    """Lets the ReLUs of the whole network work in place where it cannot be noticed; never on what a class is given."""
    readers = Counter(value for node in graph.nodes for value in node.inputs)
    readers.update(head.node for head in graph.heads)
    stack = [top]
    while stack:
        instance = stack.pop()
        stack.extend(within(instance.parts))
        for leaf in _leaves(instance.parts):
            (read,) = leaf.inputs
            free = graph.nodes[read].op.kind in FREE and readers[read] == 1 and read not in instance.inputs
            if leaf.node.op.kind == "relu" and free:
                args = tuple(replace(arg, value=True) if arg.name == "inplace" else arg for arg in leaf.module.args)
                leaf.module = replace(leaf.module, args=args)


def _leaves(parts: list[Part]) -> Iterator[Leaf]:
    for part in parts:
        if isinstance(part, Leaf):
            yield part
        elif isinstance(part, Chain | Several):
            yield from _leaves(part.parts)
