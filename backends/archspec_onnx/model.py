"""The ModelProto of a graph: values and shapes, outputs by head, weights inside or beside."""

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
from archspec_onnx.functions import fold_blocks
from archspec_onnx.names import printable
from archspec_onnx.network import LoweredNetwork, lower_network
from archspec_onnx.options import NEWEST
from archspec_onnx.tensors import MAX_MODEL_BYTES, CheckpointTensors

MODEL_FILE = "model.onnx"

BATCH_AXIS = "N"
"""The name of the batch axis, whose size is free."""


def emit(
    graph: Graph,
    provenance: Provenance,
    weights: Path | None = None,
    /,
    *,
    opset: int = NEWEST,
    train: bool = False,
    external: bool = False,
    functions: bool = False,
) -> Mapping[str, bytes]:
    """Return `model.onnx`, with its weights inside or left in the portable checkpoint `weights`."""
    if weights is None:
        raise ValueError(
            "an ONNX model holds its weights or points at them: give the portable checkpoint"
        )
    network = lower_network(graph, opset, train)
    model = build_model(
        network,
        provenance,
        CheckpointTensors(weights),
        opset,
        external=external,
        functions=functions,
    )
    return {MODEL_FILE: model.SerializeToString(deterministic=True)}


def build_model(
    network: LoweredNetwork,
    provenance: Provenance,
    tensors: CheckpointTensors,
    opset: int,
    *,
    external: bool = False,
    functions: bool = False,
    all_tensors: bool = False,
) -> ModelProto:
    """Return the model of a lowered network.

    `all_tensors` adds the tensors that only the other mode reads. `external` leaves the weights in
    their file, as is done if protobuf cannot hold them.
    """
    graph, names = network.graph, network.names
    shapes = {name: param.shape for name, _, param in graph.parameters()}
    stored = list(shapes) if all_tensors else network.tensors
    beside = external or sum(4 * math.prod(shapes[name]) for name in stored) > MAX_MODEL_BYTES
    body = helper.make_graph(
        network.nodes,
        printable(graph.name),
        _inputs(network),
        _outputs(network),
        [tensors.external(name, names.tensors[name], shapes[name]) for name in stored],
        printable(graph.root.doc) if graph.root.doc else None,
    )
    if network.has_dropout:
        body.initializer.append(numpy_helper.from_array(np.array(True), names.dropout))
    _describe(body, network)
    model = ModelProto(
        graph=body, producer_name="archspec", producer_version=printable(provenance.version)
    )
    model.opset_import.append(helper.make_opsetid("", opset))
    model.ir_version = helper.find_min_ir_version_for(list(model.opset_import))
    model.doc_string = "\n".join(map(printable, (provenance.title, provenance.summary)))
    origin = {
        "spec": provenance.spec,
        "sha256": provenance.sha256,
        "mode": "train" if network.train else "eval",
    }
    helper.set_model_props(model, {key: printable(text) for key, text in origin.items()})
    model = shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    if functions:
        fold_blocks(model, network)
    elif model.ir_version >= 10:
        _mark_scopes(model.graph.node, network.owners)
    if not beside:
        inside = [tensors.inside(name, names.tensors[name], shapes[name]) for name in stored]
        del model.graph.initializer[: len(stored)]
        model.graph.initializer.extend(inside)
    return model


def value_info(name: str, shape: Shape) -> ValueInfoProto:
    """Return the declaration of a batch of that shape."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH_AXIS, *shape])


def _inputs(network: LoweredNetwork) -> list[ValueInfoProto]:
    inputs = [value_info(network.names.input, network.graph.input)]
    if network.has_dropout:
        # It has a default, so that callers who train need not know it.
        inputs.append(helper.make_tensor_value_info(network.names.dropout, TensorProto.BOOL, []))
    return inputs


def _outputs(network: LoweredNetwork) -> list[ValueInfoProto]:
    nodes = {head.name: head.node for head in network.graph.heads}
    heads = [
        value_info(name, network.graph.nodes[nodes[head]].shape)
        for head, name in network.heads.items()
    ]
    shapes = {name: param.shape for name, _, param in network.graph.parameters()}
    running_stats = [
        helper.make_tensor_value_info(v, TensorProto.FLOAT, shapes[name])
        for name, v in network.running_stats.items()
    ]
    return heads + running_stats


def _describe(body: GraphProto, network: LoweredNetwork) -> None:
    """Declare each value's shape as the spec's checker found it; shape inference has to agree."""
    declared = {info.name for info in (*body.input, *body.output)}
    for index, name in network.values.items():
        if name not in declared:
            declared.add(name)
            body.value_info.append(value_info(name, network.graph.nodes[index].shape))


def _mark_scopes(nodes: Iterable[NodeProto], owners: Iterable[Node]) -> None:
    """Note each node's block and instance in its metadata."""
    for node, owner in zip(nodes, owners, strict=True):
        block = next((scope for scope in owner.scope.chain() if scope.block), None)
        if block is not None:
            node.metadata_props.add(key="block", value=printable(block.block))
            node.metadata_props.add(key="instance", value=printable(block.path))
