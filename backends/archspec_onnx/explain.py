"""What one node becomes: its ONNX nodes, in ONNX's own textual syntax."""

from __future__ import annotations

from onnx import NodeProto, printer

from archspec.ir.graph import Graph, Node
from archspec_onnx.lowering import Site
from archspec_onnx.lowerings import lower
from archspec_onnx.names import Names
from archspec_onnx.options import NEWEST


def explain(graph: Graph, node: Node) -> str:
    """As in `[conv] conv = Conv <kernel_shape: ints = [3, 3]> (input, conv.weight, conv.bias)`.

    Where train mode differs, what it becomes there follows.
    """
    found, train = (_lines(graph, node, train) for train in (False, True))
    return found if found == train else f"{found}\nin train mode:\n{train}"


def _lines(graph: Graph, node: Node, train: bool) -> str:
    names = Names(graph)
    inputs = tuple(names.value[index] for index in node.inputs)
    site = Site(graph, node, inputs, names, NEWEST, train)
    value = lower(site)
    return (
        "\n".join(map(_text, site.added))
        if site.added
        else f"no node: its value is that of {value}"
    )


def _text(node: NodeProto) -> str:
    return printer.to_text(node).strip()
