"""What one node becomes in the emitted network: the call that builds its layer, under its name."""

from __future__ import annotations

from archspec.codegen.literals import literal
from archspec.codegen.lowering import Merge
from archspec.ir.graph import Graph, Node
from archspec_keras.lowerings import lower
from archspec_keras.paths import Paths


def explain(graph: Graph, node: Node) -> str:
    """As in `layers.Conv2D(filters=64, kernel_size=3, name="conv1-conv")`, a line for each layer."""
    lowered = lower(node.op, *graph.inputs(node))
    paths = Paths(graph)
    name = literal(paths.layer(node))
    if isinstance(lowered, Merge):
        assert lowered.module is not None
        read = ", ".join(paths.layer(graph.nodes[index]) for index in node.inputs)
        return f"{lowered.module.target}(name={name})([{read}])"
    *before, last = lowered.layers
    shown = last.show()
    named = f"{shown[:-1]}{'' if shown.endswith('()') else ', '}name={name})"
    return "\n".join([*(step.show() for step in before), named])
