"""The ONNX nodes that one node of the spec becomes, in ONNX's own textual syntax."""

from __future__ import annotations

from onnx import printer

from archspec.ir.graph import Graph, Node
from archspec_onnx.lowering import LoweringContext
from archspec_onnx.lowerings import lower
from archspec_onnx.names import GraphNames
from archspec_onnx.options import NEWEST


def explain(graph: Graph, node: Node) -> str:
    """Return `[conv] conv = Conv <kernel_shape: ints = [3, 3]> (input, conv.weight, conv.bias)`.

    If train mode has other nodes, they follow.
    """
    eval_text = _lowered_text(graph, node, train=False)
    train_text = _lowered_text(graph, node, train=True)
    if eval_text == train_text:
        return eval_text
    return f"{eval_text}\nin train mode:\n{train_text}"


def _lowered_text(graph: Graph, node: Node, *, train: bool) -> str:
    names = GraphNames(graph)
    inputs = tuple(names.value[index] for index in node.inputs)
    ctx = LoweringContext(graph, node, inputs, names, NEWEST, train)
    value = lower(ctx)
    if not ctx.nodes:
        return f"no node: its value is that of {value}"
    return "\n".join(printer.to_text(node).strip() for node in ctx.nodes)
