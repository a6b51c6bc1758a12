"""A lowered graph: ONNX nodes in execution order, each with the spec's node that it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx import NodeProto, helper

from archspec.backend import lowering
from archspec.ir.graph import Graph, Head, Node
from archspec_onnx.lowering import LoweringContext, source_line
from archspec_onnx.lowerings import lower
from archspec_onnx.names import GraphNames


@dataclass
class LoweredNetwork:
    """The ONNX nodes of a graph in one mode, and the names of the values that they compute."""

    graph: Graph
    names: GraphNames
    train: bool
    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    owners: list[Node] = field(default_factory=list[Node])
    """The node of the graph that each of `nodes` comes from."""
    values: dict[int, str] = field(default_factory=dict[int, str])
    """The value of each node, by index; a node that changes nothing has its input's value."""
    heads: dict[str, str] = field(default_factory=dict[str, str])
    """The value of each head."""
    running_stats: dict[str, str] = field(default_factory=dict[str, str])
    """The updated running statistics in train mode, by tensor name."""

    def add(self, node: NodeProto, owner: Node) -> None:
        self.nodes.append(node)
        self.owners.append(owner)

    @property
    def tensors(self) -> list[str]:
        """The tensors that the nodes read, by portable name."""
        read = {value for node in self.nodes for value in node.input}
        return [name for name, value in self.names.tensors.items() if value in read]

    @property
    def has_dropout(self) -> bool:
        """True if an input turns dropout on and off."""
        return any(self.names.dropout in node.input for node in self.nodes)


def lower_network(graph: Graph, opset: int, train: bool) -> LoweredNetwork:
    """Lower the nodes that a mode's heads need; raise `Failure` for an opset too old for an op."""
    heads = tuple(head for head in graph.heads if train or not head.train_only)
    network = LoweredNetwork(graph, GraphNames(graph), train)
    network.values[0] = network.names.input
    for index in sorted(graph.reachable(heads) - {0}):
        node = graph.nodes[index]
        inputs = tuple(network.values[i] for i in node.inputs)
        ctx = LoweringContext(graph, node, inputs, network.names, opset, train)
        with lowering(node):
            network.values[index] = lower(ctx)
        network.running_stats |= ctx.running_stats
        for onnx_node in ctx.nodes:
            network.add(onnx_node, node)
    _name_outputs(network, heads)
    return network


def _name_outputs(network: LoweredNetwork, heads: tuple[Head, ...]) -> None:
    """Rename the heads' values to the heads' names.

    The input's value and one that another head has keep their name; these heads are copies.
    """
    renamed: dict[str, str] = {}
    for head in heads:
        value, name = network.values[head.node], network.names.heads[head.name]
        network.heads[head.name] = name
        if head.node and value != network.names.input and value not in renamed:
            renamed[value] = name
            continue
        owner = network.graph.nodes[head.node]
        node_name = network.names.nodes.take(head.name)
        copy = helper.make_node("Identity", [value], [name], node_name)
        copy.doc_string = source_line(owner)
        network.add(copy, owner)
    for node in network.nodes:
        for values in (node.input, node.output):
            for i, value in enumerate(values):
                values[i] = renamed.get(value, value)
    network.values = {index: renamed.get(value, value) for index, value in network.values.items()}
