"""Which ReLUs may overwrite their input: those whose input nothing else reads and no backward pass needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from archspec.graph import Graph
from archspec_torch.classes import within
from archspec_torch.parts import Chain, Instance, Leaf, Part, Several

# The gradients of these are computed from their inputs and parameters, never from their outputs.
FREE = frozenset(("conv", "conv_transpose", "linear", "batch_norm"))


def overwrite_inputs(graph: Graph, top: Instance) -> None:
    """Lets the ReLUs of the whole network work in place where both layers are in one class and it cannot be noticed."""
    readers = Counter(value for node in graph.nodes for value in node.inputs)
    readers.update(head.node for head in graph.heads)
    stack = [top]
    while stack:
        instance = stack.pop()
        stack.extend(within(instance.parts))
        layers = {leaf.node.index: leaf for leaf in _leaves(instance.parts)}
        for leaf in layers.values():
            read = layers.get(leaf.inputs[0])
            if leaf.node.op.kind == "relu" and read and read.node.op.kind in FREE and readers[leaf.inputs[0]] == 1:
                args = tuple(replace(arg, value=True) if arg.name == "inplace" else arg for arg in leaf.module.args)
                leaf.module = replace(leaf.module, args=args)


def _leaves(parts: list[Part]) -> Iterator[Leaf]:
    for part in parts:
        if isinstance(part, Leaf):
            yield part
        elif isinstance(part, Chain | Several):
            yield from _leaves(part.parts)
