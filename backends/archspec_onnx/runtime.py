"""Emitted models on ONNX Runtime."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

from archspec.diagnostics import MissingPackage
from archspec_onnx.model import MODEL_FILE
from archspec_onnx.tensors import MAX_MODEL_BYTES

Array = NDArray[Any]


def load_model(directory: Path) -> ModelProto:
    """Return the model of a built folder with its weights; the folder is not needed any more."""
    return read_model(Path(directory) / MODEL_FILE)


def read_model(path: Path, *, weights: bool = True) -> ModelProto:
    """Return the model in a file; weights beside it are loaded, or left as references."""
    untyped_onnx: Any = onnx
    return untyped_onnx.load(path, load_external_data=weights)


class Runner:
    """A model on ONNX Runtime, on as many threads as OMP_NUM_THREADS says.

    Args:
        model: The model, or its file.
        tensors: Values that replace the initialisers of these names.

    Raises `MissingPackage` if ONNX Runtime is not installed.
    """

    def __init__(
        self, model: ModelProto | Path, tensors: Mapping[str, Array] | None = None
    ) -> None:
        engine = _import_onnxruntime()
        options = engine.SessionOptions()
        options.log_severity_level = 3
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if threads.isdecimal():
            options.intra_op_num_threads = int(threads)
        content: str | bytes
        if isinstance(model, Path):
            content = str(model)
        else:
            if tensors is not None or _weight_bytes(model) > MAX_MODEL_BYTES:
                model, arrays = split_weights(model, tensors or {})
                values = [engine.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
                options.add_external_initializers(list(arrays), values)
            content = model.SerializeToString()
        self._session: Any = engine.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.input: str = self._session.get_inputs()[0].name
        self.main: str = self._session.get_outputs()[0].name
        optional_inputs = self._session.get_overridable_initializers()
        self._dropout_off = {
            value.name: np.array(False) for value in optional_inputs if value.type == "tensor(bool)"
        }

    def run(self, batch: Array, outputs: Sequence[str], *, dropout: bool = False) -> list[Array]:
        """Return the named outputs for a batch; dropout is off unless asked for."""
        feeds = {self.input: np.ascontiguousarray(batch, np.float32)}
        if not dropout:
            feeds |= self._dropout_off
        return list(self._session.run(list(outputs), feeds))


def _weight_bytes(model: ModelProto) -> int:
    """Return the size of the initialisers; protobuf's own count overflows for large models."""
    return sum(4 * math.prod(tensor.dims) for tensor in model.graph.initializer)


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        help = "pip install 'archspec-nn[onnx]'"
        raise MissingPackage(
            "ONNX models run on onnxruntime, which is not installed", help
        ) from error
    return onnxruntime


def split_weights(
    model: ModelProto, tensors: Mapping[str, Array]
) -> tuple[ModelProto, dict[str, Array]]:
    """Return a model without its weights, and the weights: protobuf is limited to 2 GB."""
    light, arrays = ModelProto(), dict[str, Array]()
    _copy(light, model, "graph")
    _copy(light.graph, model.graph, "initializer")
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            light.graph.initializer.append(tensor)
            continue
        values = tensors.get(tensor.name)
        if values is None:
            values = numpy_helper.to_array(tensor)
        arrays[tensor.name] = np.ascontiguousarray(values, np.float32)
        reference = TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        reference.data_location = TensorProto.EXTERNAL
        reference.external_data.add(key="location", value="weights")
        light.graph.initializer.append(reference)
    return light, arrays


def _copy(to: Any, message: Any, without: str) -> None:
    """Copy all fields of a message but one."""
    for field, content in message.ListFields():
        if field.name == without:
            continue
        if isinstance(content, str | int | bytes):
            setattr(to, field.name, content)
        elif isinstance(content, Iterable):
            getattr(to, field.name).extend(content)
        else:
            getattr(to, field.name).CopyFrom(content)


_runners: dict[str, Runner] = {}
"""The runner of the latest model, by that model's digest."""


def predict(
    model: ModelProto | str | os.PathLike[str], batch: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Return the main output of a model, or of a model's file, for a batch [N, *input].

    The runner of the latest model is cached, and made anew when the model has changed.
    """
    key = _digest(model) if isinstance(model, ModelProto) else _stamp(Path(model))
    if key not in _runners:
        _runners.clear()  # before the next one is made, so that memory never holds both
        _runners[key] = Runner(model if isinstance(model, ModelProto) else Path(model))
    runner = _runners[key]
    return runner.run(batch, [runner.main])[0]


def _digest(model: ModelProto) -> str:
    """Return a digest of a model's content, of any size."""
    light, arrays = split_weights(model, {})
    digest = hashlib.sha256(light.SerializeToString(deterministic=True))
    for array in arrays.values():
        digest.update(array.data)
    return digest.hexdigest()


def _stamp(path: Path) -> str:
    """Return what changes when a model's file is written: its path, file, size and time."""
    state = path.stat()
    # A clock ticks only every few milliseconds; a build that replaces a file makes a new one.
    return f"{path.resolve()} {state.st_ino} {state.st_size} {state.st_mtime_ns}"
