"""`.onnx` files: read a model's initialisers without running it, write a model with given
weights."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from safetensors.numpy import save

from archspec.backend import MemoryBudget, Provenance
from archspec.diagnostics import quote
from archspec.ir.graph import Graph
from archspec_onnx.model import build_model
from archspec_onnx.network import lower_network
from archspec_onnx.options import NEWEST
from archspec_onnx.tensors import MAX_MODEL_BYTES, CheckpointTensors

BYTES_PER_VALUE: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.FLOAT16: 2,
    TensorProto.BFLOAT16: 2,
}
"""The floating-point types: initialisers of other types are not weights."""


def read_initializers(path: Path, budget: MemoryBudget) -> dict[str, NDArray[Any]]:
    """Return a model's floating-point initialisers, those in other files of its folder included.

    Raise ValueError if the file is not a model, is damaged, or points out of its folder.
    """
    try:
        model = ModelProto.FromString(path.read_bytes())
    except (DecodeError, ValueError) as error:
        raise ValueError("it is no ONNX model, or a damaged one") from error
    if not model.HasField("graph"):
        raise ValueError("it is no ONNX model, or a damaged one: it holds no graph")
    arrays: dict[str, NDArray[Any]] = {}
    for tensor in model.graph.initializer:
        if tensor.name in arrays:
            raise ValueError(f"it has two initialisers {quote(tensor.name)}")
        if tensor.data_type in BYTES_PER_VALUE:
            arrays[tensor.name] = _array(tensor, path.parent, budget)
    return arrays


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
        raise ValueError(f"the initialiser {quote(tensor.name)} is damaged: {error}") from error
    return array.astype(np.float64 if tensor.data_type == TensorProto.DOUBLE else np.float32)


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
    size = math.prod(tensor.dims) * BYTES_PER_VALUE[tensor.data_type]
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
