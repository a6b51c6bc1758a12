"""The ModelProto of a graph: typed values, outputs by head, weights inside or beside, and what it says of itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
    shape_inference,
)

from archspec.backend import Provenance
from archspec.ir.graph import Graph, Node
from archspec.ir.types import Shape
from archspec_onnx.functions import fold
from archspec_onnx.names import readable
from archspec_onnx.network import Network, lower_network
from archspec_onnx.options import NEWEST
from archspec_onnx.tensors import LIMIT, Tensors

MODEL = "model.onnx"

BATCH = "N"
"""The batch axis, which is free."""


def emit(
    graph: Graph,
    about: Provenance,
    weights: Path | None = None,
    /,
    *,
    opset: int = NEWEST,
    train: bool = False,
    external: bool = False,
    functions: bool = False,
) -> Mapping[str, bytes]:
    """The file of a build: `model.onnx`, its weights inside it or left where they are, in the neutral checkpoint."""
    if weights is None:
        raise ValueError(
            "an ONNX model holds its weights or points at them: give the neutral checkpoint"
        )
    network = lower_network(graph, opset, train)
    model = build_model(
        network, about, Tensors(weights), opset, external=external, functions=functions
    )
    return {MODEL: model.SerializeToString(deterministic=True)}


def build_model(
    network: Network,
    about: Provenance,
    tensors: Tensors,
    opset: int,
    *,
    external: bool = False,
    functions: bool = False,
    every: bool = False,
) -> ModelProto:
    """The model of a lowered network; with `every`, it holds the tensors too that only other modes read."""
    graph, names = network.graph, network.names
    shapes = {name: param.shape for name, _, param in graph.parameters()}
    kept = list(shapes) if every else network.tensors
    beside = external or sum(4 * math.prod(shapes[name]) for name in kept) > LIMIT
    body = helper.make_graph(
        network.nodes,
        readable(graph.name),
        _inputs(network),
        _outputs(network),
        [tensors.external(name, names.tensors[name], shapes[name]) for name in kept],
        readable(graph.root.doc) if graph.root.doc else None,
    )
    if network.switched:
        body.initializer.append(numpy_helper.from_array(np.array(True), names.dropout))
    _describe(body, network)
    model = ModelProto(
        graph=body, producer_name="archspec", producer_version=readable(about.version)
    )
    model.opset_import.append(helper.make_opsetid("", opset))
    model.ir_version = helper.find_min_ir_version_for(list(model.opset_import))
    model.doc_string = "\n".join(map(readable, (about.title, about.summary)))
    origin = {
        "spec": about.spec,
        "sha256": about.sha256,
        "mode": "train" if network.train else "eval",
    }
    helper.set_model_props(model, {key: readable(text) for key, text in origin.items()})
    model = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    if functions:
        fold(model, network)
    elif model.ir_version >= 10:
        _mark_scopes(model.graph.node, network.owners)
    if not beside:
        inside = [tensors.inside(name, names.tensors[name], shapes[name]) for name in kept]
        del model.graph.initializer[: len(kept)]
        model.graph.initializer.extend(inside)
    return model


def value(name: str, shape: Shape) -> ValueInfoProto:
    """A batch of that shape."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, *shape])


def _inputs(network: Network) -> list[ValueInfoProto]:
    found = [value(network.names.input, network.graph.input)]
    if network.switched:
        # It has a default: whoever trains need not know it.
        found.append(helper.make_tensor_value_info(network.names.dropout, TensorProto.BOOL, []))
    return found


def _outputs(network: Network) -> list[ValueInfoProto]:
    nodes = {head.name: head.node for head in network.graph.heads}
    heads = [
        value(name, network.graph.nodes[nodes[head]].shape) for head, name in network.heads.items()
    ]
    shapes = {name: param.shape for name, _, param in network.graph.parameters()}
    moved = [
        helper.make_tensor_value_info(v, TensorProto.FLOAT, shapes[name])
        for name, v in network.updates.items()
    ]
    return heads + moved


def _describe(body: GraphProto, network: Network) -> None:
    """The shape that the spec's checker found for each value; inference has to agree, and adds those between."""
    known = {info.name for info in (*body.input, *body.output)}
    for index, name in network.values.items():
        if name not in known:
            known.add(name)
            body.value_info.append(value(name, network.graph.nodes[index].shape))


def _mark_scopes(nodes: Iterable[NodeProto], owners: Iterable[Node]) -> None:
    """Which instance of which block a node belongs to."""
    for node, owner in zip(nodes, owners, strict=True):
        block = next((scope for scope in owner.scope.chain() if scope.block), None)
        if block is not None:
            node.metadata_props.add(key="block", value=readable(block.block))
            node.metadata_props.add(key="instance", value=readable(block.path))
