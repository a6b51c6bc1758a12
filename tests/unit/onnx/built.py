"""Specs built for ONNX, and what every emitted model has to pass."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, shape_inference

from archspec.backend import load
from archspec.compiler import provenance
from archspec.equivalence.inputs import random_weights
from archspec.frontend.loader import Spec

Array = NDArray[Any]
ONNX = load("onnx")


@contextmanager
def built(
    spec: Spec, tensors: Mapping[str, Array] | None = None, **options: Any
) -> Generator[Path]:
    """A folder with the model of a spec, and random weights where none are given."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = random_weights(spec.graph, 0) if tensors is None else tensors
        write_tensors(folder / "weights.safetensors", own)
        chosen = {key: option.default for key, option in ONNX.options.items()} | options
        for file, content in ONNX.emit(
            spec.graph, provenance(spec), folder / "weights.safetensors", **chosen
        ).items():
            (folder / file).write_bytes(content)
        yield folder


def model_of(spec: Spec, tensors: Mapping[str, Array] | None = None, **options: Any) -> ModelProto:
    """The same, loaded."""
    with built(spec, tensors, **options) as folder:
        return ONNX.load(folder)


def accepted(model: ModelProto) -> None:
    """The checker finds nothing, nor does `shaped`."""
    onnx.checker.check_model(model, full_check=True)
    shaped(model)


def shaped(model: ModelProto) -> None:
    """Strict inference finds nothing wrong, and every value has a shape, of which only the batch is free.

    In eval mode all that comes from the input is a batch.
    """
    bare = ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    inferred = shape_inference.infer_shapes(bare, strict_mode=True, check_type=True, data_prop=True)
    batches = (
        {model.graph.input[0].name}
        if any(entry.value == "eval" for entry in model.metadata_props)
        else set[str]()
    )
    for node in model.graph.node:
        if not batches.isdisjoint(node.input):
            batches.update(node.output)
    for graph in (model.graph, inferred.graph):
        shapes = {
            info.name: info.type.tensor_type
            for info in (*graph.input, *graph.output, *graph.value_info)
        }
        for value in {value for node in graph.node for value in node.output}:
            assert shapes[value].HasField("shape"), value
            sizes = [size.dim_param or size.dim_value for size in shapes[value].shape.dim]
            assert all(isinstance(size, int) for size in sizes[1:]), (value, sizes)
            # Inference forgets the batch's name behind a Resize; what the model itself states has it.
            names = (
                {"N"}
                if graph is model.graph
                else {"N", *(size for size in sizes[:1] if isinstance(size, str))}
            )
            assert all(
                size in names for size in sizes[:1] if isinstance(size, str) or value in batches
            ), (value, sizes)


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """A safetensors file; by hand, since a name may be one that the library cannot write."""
    header: dict[str, Any] = {}
    parts = {
        name: np.ascontiguousarray(tensor, "<f4").tobytes() for name, tensor in tensors.items()
    }
    start = 0
    for name, part in parts.items():
        header[name] = {
            "dtype": "F32",
            "shape": tensors[name].shape,
            "data_offsets": [start, start + len(part)],
        }
        start += len(part)
    text = json.dumps(header).encode()
    path.write_bytes(b"".join((len(text).to_bytes(8, "little"), text, *parts.values())))
