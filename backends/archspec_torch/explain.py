"""The code that one node becomes: its layer's attribute, and the call that builds it."""

from __future__ import annotations

from archspec.codegen.lowering import Merge
from archspec.codegen.module_tree import LayerCall
from archspec.ir.graph import Graph, Node
from archspec_torch.lowerings import lower
from archspec_torch.source import network_parts
from archspec_torch.weights import named_modules


def explain(graph: Graph, node: Node) -> str:
    """Return `model.conv1.conv = nn.Conv2d(in_channels=3, ...)`, or a merge as `forward` has it."""
    lowered = lower(node.op, *graph.inputs(node))
    if isinstance(lowered, Merge):
        operands = [graph.nodes[index].path for index in node.inputs]
        if lowered.operator == "cat":
            return f"torch.cat([{', '.join(operands)}], dim=1)"
        return f" {lowered.operator} ".join(operands)
    for path, part in named_modules(network_parts(graph)):
        if isinstance(part, LayerCall) and part.node is node:
            return f"model.{path} = {part.module.show()}"
    raise ValueError(f"{node.path} is not in the graph")
