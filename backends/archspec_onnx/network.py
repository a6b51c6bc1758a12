"""A whole graph lowered: ONNX nodes in execution order, each with the spec's node that it came from."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx import NodeProto, helper

from archspec.ir.graph import Graph, Head, Node
from archspec_onnx.lowering import Site, place
from archspec_onnx.lowerings import lower
from archspec_onnx.names import Names


@dataclass
class Network:
    """The nodes, and by which names values are found among them."""

    graph: Graph
    names: Names
    train: bool
    nodes: list[NodeProto] = field(default_factory=list[NodeProto])
    owners: list[Node] = field(default_factory=list[Node])
    """Which node of the graph each of `nodes` is for."""
    values: dict[int, str] = field(default_factory=dict[int, str])
    """What a node of the graph computes, by its index; two share a value where one changes nothing."""
    heads: dict[str, str] = field(default_factory=dict[str, str])
    updates: dict[str, str] = field(default_factory=dict[str, str])
    """In train mode the moved statistics, by the tensor's neutral name."""

    def add(self, node: NodeProto, owner: Node) -> None:
        self.nodes.append(node)
        self.owners.append(owner)

    @property
    def tensors(self) -> list[str]:
        """The neutral names of the tensors that its nodes read."""
        read = {value for node in self.nodes for value in node.input}
        return [name for name, value in self.names.tensors.items() if value in read]

    @property
    def switched(self) -> bool:
        """Whether an input turns its dropout on and off."""
        return any(self.names.dropout in node.input for node in self.nodes)


def lower_network(graph: Graph, opset: int, train: bool) -> Network:
    """Lowers what the heads of a mode need; raises `Failure` where the opset is too old for an op."""
    heads = tuple(head for head in graph.heads if train or not head.train_only)
    network = Network(graph, Names(graph), train)
    network.values[0] = network.names.input
    for index in sorted(graph.reachable(heads) - {0}):
        node = graph.nodes[index]
        inputs = tuple(network.values[i] for i in node.inputs)
        site = Site(graph, node, inputs, network.names, opset, train)
        network.values[index] = lower(site)
        network.updates |= site.updates
        for made in site.added:
            network.add(made, node)
    _name_outputs(network, heads)
    return network


def _name_outputs(network: Network, heads: tuple[Head, ...]) -> None:
    """A head's value takes the head's name; a copy is made where it has one to keep, an input's or another head's."""
    renamed: dict[str, str] = {}
    for head in heads:
        value, name = network.values[head.node], network.names.heads[head.name]
        network.heads[head.name] = name
        if head.node and value != network.names.input and value not in renamed:
            renamed[value] = name
        else:
            owner = network.graph.nodes[head.node]
            copy = helper.make_node(
                "Identity", [value], [name], network.names.nodes.take(head.name)
            )
            copy.doc_string = place(owner)
            network.add(copy, owner)
    for node in network.nodes:
        for values in (node.input, node.output):
            for i, value in enumerate(values):
                values[i] = renamed.get(value, value)
    network.values = {index: renamed.get(value, value) for index, value in network.values.items()}
