"""The code of one node: the call that makes its layer, under its name."""

from __future__ import annotations

from archspec.codegen.literals import literal
from archspec.codegen.lowering import Merge
from archspec.ir.graph import Graph, Node
from archspec_keras.lowerings import lower
from archspec_keras.paths import Paths


def explain(graph: Graph, node: Node) -> str:
    """Return a call for each layer, such as `layers.ReLU(name="conv1-relu")`."""
    lowered = lower(node.op, *graph.inputs(node))
    paths = Paths(graph)
    name = literal(paths.layer(node))
    if isinstance(lowered, Merge):
        assert lowered.module is not None
        operands = ", ".join(paths.layer(graph.nodes[index]) for index in node.inputs)
        return f"{lowered.module.target}(name={name})([{operands}])"
    *before, last = (layer.show() for layer in lowered.layers)
    separator = "" if last.endswith("()") else ", "
    return "\n".join([*before, f"{last[:-1]}{separator}name={name})"])
