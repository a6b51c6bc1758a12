"""Blocks as ONNX functions: an instance becomes a call, and equal instances share a function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from onnx import FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, helper

from archspec.ir.graph import Node, Scope
from archspec_onnx.names import UniqueNames, printable
from archspec_onnx.network import LoweredNetwork

DOMAIN = "archspec.blocks"


def fold_blocks(model: ModelProto, network: LoweredNetwork) -> None:
    """Turn the block instances of a flat model into calls, nested as the blocks are."""
    outputs = [info.name for info in model.graph.output]
    functions = FunctionFolder(list(model.opset_import), set(network.names.tensors.values()))
    nodes = functions.fold_level(
        list(zip(model.graph.node, network.owners, strict=True)), None, outputs
    )
    # The nodes live in the model: they are copied out before their list is emptied.
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    model.functions.extend(functions.functions.values())
    if functions.functions:
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    computed = {value for node in copies for value in node.output}
    infos = [info for info in model.graph.value_info if info.name in computed]
    del model.graph.value_info[:]
    model.graph.value_info.extend(infos)


OwnedNode = tuple[NodeProto, Node]


@dataclass
class FunctionFolder:
    """The functions made so far, by what they compute; see `_structural_key`."""

    opsets: Sequence[OperatorSetIdProto]
    tensors: set[str]
    functions: dict[bytes, FunctionProto] = field(default_factory=dict[bytes, FunctionProto])
    names: UniqueNames = field(default_factory=UniqueNames)

    def fold_level(
        self, nodes: list[OwnedNode], inside: Scope | None, outputs: Iterable[str]
    ) -> list[NodeProto]:
        """Return the nodes directly in a block, with a call for each run of an inner block's
        nodes."""
        last = {value: i for i, (node, _) in enumerate(nodes) for value in node.input}
        needed = set(outputs)
        result: list[NodeProto] = []
        start = 0
        for scope, run in groupby(nodes, lambda owned: _outermost_block(owned[1], inside)):
            part = list(run)
            end = start + len(part)
            if scope is None:
                result += [node for node, _ in part]
            else:
                leaving = [v for v in _output_names(part) if v in needed or last.get(v, 0) >= end]
                result.append(self.function_call(part, scope, leaving))
            start = end
        return result

    def function_call(self, nodes: list[OwnedNode], scope: Scope, outputs: list[str]) -> NodeProto:
        """Return a call of the function that computes what these nodes compute."""
        computed = set(_output_names(nodes))
        body = self.fold_level(nodes, scope, outputs)
        entering = list(
            dict.fromkeys(v for node in body for v in node.input if v and v not in computed)
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
        key = _structural_key(function)
        if key not in self.functions:
            function.name = self.names.take(scope.block)
            function.doc_string = printable(scope.doc) if scope.doc else ""
            self.functions[key] = function
        name = self.functions[key].name
        return helper.make_node(name, entering, outputs, printable(scope.path), domain=DOMAIN)


def _output_names(nodes: Iterable[OwnedNode]) -> list[str]:
    return [value for node, _ in nodes for value in node.output]


def _outermost_block(node: Node, inside: Scope | None) -> Scope | None:
    """Return the outermost block around a node that is within `inside`, None if there is none."""
    outermost: Scope | None = None
    for scope in node.scope.chain():
        if scope is inside:
            break
        if scope.block:
            outermost = scope
    return outermost


def _inner_names(
    scope: Scope, body: list[NodeProto], entering: list[str], tensors: set[str]
) -> dict[str, str]:
    """Return the values' names inside a function: inputs are x, others lose the instance's path."""
    unique = UniqueNames()
    names = {value: unique.take(_short(value, scope)) for value in entering if value in tensors}
    names |= {value: unique.take("x") for value in entering if value not in tensors}
    names |= {value: unique.take(_short(value, scope)) for node in body for value in node.output}
    return {**names, "": ""}


def _short(name: str, scope: Scope) -> str:
    return name.removeprefix(f"{printable(scope.path)}.")


def _renamed(node: NodeProto, names: dict[str, str], scope: Scope) -> NodeProto:
    renamed = NodeProto()
    renamed.CopyFrom(node)
    renamed.name = _short(node.name, scope)
    renamed.input[:] = [names[value] for value in node.input]
    renamed.output[:] = [names[value] for value in node.output]
    return renamed


def _structural_key(function: FunctionProto) -> bytes:
    """Return a function's content with its values numbered, so that names do not matter."""
    anonymous = FunctionProto()
    anonymous.CopyFrom(function)
    numbers: dict[str, str] = {"": ""}
    for value in (*function.input, *(value for node in function.node for value in node.output)):
        numbers.setdefault(value, str(len(numbers)))
    anonymous.input[:] = [numbers[value] for value in function.input]
    anonymous.output[:] = [numbers[value] for value in function.output]
    for node in anonymous.node:
        node.name = node.doc_string = ""
        node.input[:] = [numbers[value] for value in node.input]
        node.output[:] = [numbers[value] for value in node.output]
    return anonymous.SerializeToString(deterministic=True)
