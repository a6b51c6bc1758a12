"""`.onnx`: the initialisers of a model by name, read without running it, and a model written around given weights."""

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
from archspec_onnx.tensors import LIMIT, Tensors

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def read(path: Path, room: MemoryBudget) -> dict[str, NDArray[Any]]:
    """The floating-point initialisers of a model; those kept in other files only from within the model's folder.

    Raises ValueError where the file is no model, is damaged, or points out of its folder.
    """
    try:
        model = ModelProto.FromString(path.read_bytes())
    except (DecodeError, ValueError) as error:
        raise ValueError("it is no ONNX model, or a damaged one") from error
    if not model.HasField("graph"):
        raise ValueError("it is no ONNX model, or a damaged one: it holds no graph")
    found: dict[str, NDArray[Any]] = {}
    for tensor in model.graph.initializer:
        if tensor.name in found:
            raise ValueError(f"it has two initialisers {quote(tensor.name)}")
        if tensor.data_type in _FLOATS:
            found[tensor.name] = _array(tensor, path.parent, room)
    return found


def _array(tensor: TensorProto, folder: Path, room: MemoryBudget) -> NDArray[Any]:
    """A tensor's values; half precision as single, which numpy computes with."""
    whole = TensorProto()
    whole.CopyFrom(tensor)
    if tensor.data_location == TensorProto.EXTERNAL:
        whole.raw_data = _external(tensor, folder, room)
        whole.data_location = TensorProto.DEFAULT
        del whole.external_data[:]
    try:
        array = numpy_helper.to_array(whole)
    except Exception as error:  # damaged data fails in whatever way it likes
        raise ValueError(f"the initialiser {quote(tensor.name)} is damaged: {error}") from error
    return array.astype(np.float64 if tensor.data_type == TensorProto.DOUBLE else np.float32)


def _external(tensor: TensorProto, folder: Path, room: MemoryBudget) -> bytes:
    """The bytes that an initialiser points at, in a file of the model's own folder."""
    stated = {entry.key: entry.value for entry in tensor.external_data}
    what = f"the initialiser {quote(tensor.name)}"
    location = stated.get("location", "")
    file = (folder / location.replace("\0", "?")).resolve()  # no path can hold a zero byte
    if not location or not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise ValueError(
            f"{what} lies in {quote(location)}, which is no file of the model's folder"
        )
    width = 2 if tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16) else 4
    size = math.prod(tensor.dims) * (8 if tensor.data_type == TensorProto.DOUBLE else width)
    try:
        offset, length = int(stated.get("offset", "0")), int(stated.get("length", str(size)))
    except ValueError as error:
        raise ValueError(f"{what} states no numbers for where it lies") from error
    if length != size or offset < 0 or offset + length > file.stat().st_size:
        raise ValueError(
            f"{what} is {size} bytes, and not those from {offset} on, {length} long, in {quote(location)}"
        )
    room.add_file(file)
    room.charge(2 * length, tensor.name)  # any number of initialisers can point at the same bytes
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(length)


def write(path: Path, graph: Graph, about: Provenance, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Writes the eval-mode model with all the tensors of the graph, those too that only train mode reads.

    Where they exceed what protobuf can hold, they lie beside it in a safetensors file of the same name.
    """
    plain = {
        name: np.ascontiguousarray(tensors[name], np.float32) for name, _, _ in graph.parameters()
    }
    beside = sum(tensor.nbytes for tensor in plain.values()) > LIMIT
    with tempfile.TemporaryDirectory() as folder:
        weights = (
            path.with_suffix(".safetensors") if beside else Path(folder) / "weights.safetensors"
        )
        weights.write_bytes(save(plain))
        network = lower_network(graph, NEWEST, train=False)
        model = build_model(network, about, Tensors(weights), NEWEST, every=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
