"""`.onnx` files: read a model's constants without running it, write a model with given weights."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype
from safetensors.numpy import save

from archspec.backend import FileTensor, MemoryBudget, Provenance
from archspec.diagnostics import library_words, quote
from archspec.ir.graph import Graph
from archspec_onnx.flat_order import Use, constant_uses
from archspec_onnx.model import build_model
from archspec_onnx.network import lower_network
from archspec_onnx.options import NEWEST
from archspec_onnx.tensors import MAX_MODEL_BYTES, CheckpointTensors

MAX_DEPTH = 32
"""Graphs within graphs."""
HALF = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, *HALF)
"""The floating-point types: constants of other types are not weights."""


def read_constants(path: Path, budget: MemoryBudget) -> dict[str, FileTensor]:
    """Return a model's initialisers, those in other files of its folder included, and its
    Constant nodes, with what the graph uses them for.

    Raise ValueError if the file is not a model, is damaged, or points out of its folder.
    """
    try:
        model = ModelProto.FromString(path.read_bytes())
    except (DecodeError, ValueError) as error:
        raise ValueError("it is no ONNX model, or a damaged one") from error
    if not model.HasField("graph"):
        raise ValueError("it is no ONNX model, or a damaged one: it holds no graph")
    tensors: dict[str, TensorProto] = {}
    for tensor in _constants(model.graph):
        if tensor.name in tensors:
            raise ValueError(f"it has two initialisers {quote(tensor.name)}")
        tensors[tensor.name] = tensor
    uses = constant_uses(model.graph, tensors)
    is_ours = model.producer_name == "archspec"
    return {
        name: _file_tensor(tensor, _array(tensor, path.parent, budget), uses.get(name), is_ours)
        for name, tensor in tensors.items()
    }


def _constants(graph: GraphProto, depth: int = 0) -> Iterator[TensorProto]:
    """Yield the constants of a graph and of the graphs in its nodes, each under its own name."""
    yield from graph.initializer
    if depth > MAX_DEPTH or graph.sparse_initializer:
        raise ValueError("it holds sparse initialisers, or graphs in graphs without an end")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _constants(attribute.g, depth + 1)
            for inner in attribute.graphs:
                yield from _constants(inner, depth + 1)
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.output:
            tensor = _constant(node.attribute[0])
            if tensor is not None:
                tensor.name = node.output[0]
                yield tensor


def _constant(attribute: AttributeProto) -> TensorProto | None:
    """Return a copy of the value of a Constant node; None for text, and for what is sparse."""
    copied = TensorProto()
    match attribute.type:
        case AttributeProto.TENSOR:
            copied.CopyFrom(attribute.t)
        case AttributeProto.FLOAT:
            copied = numpy_helper.from_array(np.array(attribute.f, np.float32))
        case AttributeProto.FLOATS:
            copied = numpy_helper.from_array(np.array(attribute.floats, np.float32))
        case AttributeProto.INT:
            copied = numpy_helper.from_array(np.array(attribute.i, np.int64))
        case AttributeProto.INTS:
            copied = numpy_helper.from_array(np.array(attribute.ints, np.int64))
        case _:
            return None
    return copied


def _file_tensor(
    tensor: TensorProto, values: NDArray[Any], use: Use | None, is_ours: bool
) -> FileTensor:
    """Return a constant with what its uses tell."""
    if tensor.data_type not in FLOATS:
        return FileTensor(values, unused="not of floating point")
    # A Constant node without an axis is a number of the computation, as in `x * 0.5`.
    unused = "" if values.ndim or use is None else "a number in the graph"
    op, layout, order = (use.op, use.layout, use.flat_order) if use else ("", None, None)
    if is_ours:  # what is not used, or is used through a function, lies there as it is here
        layout, order = () if layout is None else layout, order or "chw"
    channels = values.shape[:1] if values.ndim > 1 and values.size == values.shape[0] else None
    return FileTensor(values, op, layout, channels, order, unused=unused)


def _array(tensor: TensorProto, folder: Path, budget: MemoryBudget) -> NDArray[Any]:
    """Return a tensor's values; half precision becomes single, which numpy computes with."""
    inline = TensorProto()
    inline.CopyFrom(tensor)
    if tensor.data_location == TensorProto.EXTERNAL:
        inline.raw_data = _external_data(tensor, folder, budget)
        inline.data_location = TensorProto.DEFAULT
        del inline.external_data[:]
    try:
        array = numpy_helper.to_array(inline)
    except Exception as error:  # damaged data raises errors of many types
        what = f"the initialiser {quote(tensor.name)}"
        raise ValueError(f"{what} is damaged: {library_words(error)}") from error
    return array.astype(np.float32) if tensor.data_type in HALF else array


def _external_data(tensor: TensorProto, folder: Path, budget: MemoryBudget) -> bytes:
    """Return the bytes that an initialiser points at, in a file of the model's own folder."""
    fields = {entry.key: entry.value for entry in tensor.external_data}
    what = f"the initialiser {quote(tensor.name)}"
    location = fields.get("location", "")
    file = (folder / location.replace("\0", "?")).resolve()  # a path cannot hold a zero byte
    if not location or not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise ValueError(
            f"{what} lies in {quote(location)}, which is no file of the model's folder"
        )
    size = math.prod(tensor.dims) * tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    try:
        offset = int(fields.get("offset", "0"))
        length = int(fields.get("length", str(size)))
    except ValueError as error:
        raise ValueError(f"{what} states no numbers for where it lies") from error
    if length != size or offset < 0 or offset + length > file.stat().st_size:
        raise ValueError(
            f"{what} is {size} bytes, and not those from {offset} on, "
            f"{length} long, in {quote(location)}"
        )
    budget.add_file(file)
    budget.charge(2 * length, tensor.name)  # many initialisers can point at the same bytes
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(length)


def write_model(
    path: Path, graph: Graph, provenance: Provenance, tensors: Mapping[str, NDArray[Any]]
) -> None:
    """Write the eval-mode model with all tensors of the graph, also those of train mode.

    If they exceed the limit of protobuf, they go into a safetensors file of the same name beside
    it.
    """
    weights = {
        name: np.ascontiguousarray(tensors[name], np.float32) for name, _, _ in graph.parameters()
    }
    external = sum(tensor.nbytes for tensor in weights.values()) > MAX_MODEL_BYTES
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "weights.safetensors"
        if external:
            checkpoint = path.with_suffix(".safetensors")
        checkpoint.write_bytes(save(weights))
        network = lower_network(graph, NEWEST, train=False)
        model = build_model(
            network, provenance, CheckpointTensors(checkpoint), NEWEST, all_tensors=True
        )
    path.write_bytes(model.SerializeToString(deterministic=True))
