"""Blocks as ONNX functions: each instance of a block becomes a call, and instances that are alike share a function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from onnx import FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, helper

from archspec.ir.graph import Node, Scope
from archspec_onnx.names import Namespace, readable
from archspec_onnx.network import Network

DOMAIN = "archspec.blocks"


def fold(model: ModelProto, network: Network) -> None:
    """Turns the block instances of a flat model into calls of functions, nested as the blocks are."""
    outputs = [info.name for info in model.graph.output]
    folder = Folder(list(model.opset_import), set(network.names.tensors.values()))
    nodes = folder.level(list(zip(model.graph.node, network.owners, strict=True)), None, outputs)
    # The nodes live in the model: they are copied out before their list is emptied.
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.functions.extend(folder.functions.values())
    if folder.functions:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    seen = {value for node in kept for value in node.output}
    infos = [info for info in model.graph.value_info if info.name in seen]
    del model.graph.value_info[:]
    model.graph.value_info.extend(infos)


Owned = tuple[NodeProto, Node]


@dataclass
class Folder:
    """Collects functions by what they do: their text without names of their own and without places."""

    opsets: Sequence[OperatorSetIdProto]
    tensors: set[str]
    functions: dict[bytes, FunctionProto] = field(default_factory=dict[bytes, FunctionProto])
    space: Namespace = field(default_factory=Namespace)

    def level(
        self, nodes: list[Owned], inside: Scope | None, outputs: Iterable[str]
    ) -> list[NodeProto]:
        """The nodes directly inside a block, with a call for every run of nodes that lies in one below it."""
        last = {value: i for i, (node, _) in enumerate(nodes) for value in node.input}
        wanted = set(outputs)
        result: list[NodeProto] = []
        start = 0
        for scope, run in groupby(nodes, lambda owned: _below(owned[1], inside)):
            part = list(run)
            end = start + len(part)
            if scope is None:
                result += [node for node, _ in part]
            else:
                leaving = [v for v in _made(part) if v in wanted or last.get(v, 0) >= end]
                result.append(self.call(part, scope, leaving))
            start = end
        return result

    def call(self, nodes: list[Owned], scope: Scope, outputs: list[str]) -> NodeProto:
        """A call of the function that does what these nodes do."""
        made = set(_made(nodes))
        body = self.level(nodes, scope, outputs)
        entering = list(
            dict.fromkeys(v for node in body for v in node.input if v and v not in made)
        )
        entering.sort(key=lambda value: value in self.tensors)
        names = _inner_names(scope, body, entering, self.tensors)
        function = FunctionProto(domain=DOMAIN, opset_import=self.opsets)
        function.input.extend(names[value] for value in entering)
        function.output.extend(names[value] for value in outputs)
        for node in body:
            function.node.append(_renamed(node, names, scope))
        if any(node.domain for node in body):
            function.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        key = _key(function)
        if key not in self.functions:
            function.name = self.space.take(scope.block)
            function.doc_string = readable(scope.doc) if scope.doc else ""
            self.functions[key] = function
        name = self.functions[key].name
        return helper.make_node(name, entering, outputs, readable(scope.path), domain=DOMAIN)


def _made(nodes: Iterable[Owned]) -> list[str]:
    return [value for node, _ in nodes for value in node.output]


def _below(node: Node, inside: Scope | None) -> Scope | None:
    """The outermost block around a node that lies within `inside`; None where there is none."""
    found: Scope | None = None
    for scope in node.scope.chain():
        if scope is inside:
            break
        found = scope if scope.block else found
    return found


def _inner_names(
    scope: Scope, body: list[NodeProto], entering: list[str], tensors: set[str]
) -> dict[str, str]:
    """How values are called inside: without the instance's path, and what enters x."""
    space = Namespace()
    names = {value: space.take(_short(value, scope)) for value in entering if value in tensors}
    names |= {value: space.take("x") for value in entering if value not in tensors}
    names |= {value: space.take(_short(value, scope)) for node in body for value in node.output}
    return {**names, "": ""}


def _short(name: str, scope: Scope) -> str:
    return name.removeprefix(f"{readable(scope.path)}.")


def _renamed(node: NodeProto, names: dict[str, str], scope: Scope) -> NodeProto:
    made = NodeProto()
    made.CopyFrom(node)
    made.name = _short(node.name, scope)
    made.input[:] = [names[value] for value in node.input]
    made.output[:] = [names[value] for value in node.output]
    return made


def _key(function: FunctionProto) -> bytes:
    """What a function does, whatever its nodes and values are called: by the order in which they come."""
    plain = FunctionProto()
    plain.CopyFrom(function)
    numbers: dict[str, str] = {"": ""}
    for value in (*function.input, *(value for node in function.node for value in node.output)):
        numbers.setdefault(value, str(len(numbers)))
    plain.input[:] = [numbers[value] for value in function.input]
    plain.output[:] = [numbers[value] for value in function.output]
    for node in plain.node:
        node.name = node.doc_string = ""
        node.input[:] = [numbers[value] for value in node.input]
        node.output[:] = [numbers[value] for value in node.output]
    return plain.SerializeToString(deterministic=True)
