"""Runs emitted models on ONNX Runtime."""

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
from archspec_onnx.model import MODEL
from archspec_onnx.tensors import LIMIT

Array = NDArray[Any]


def load(directory: Path) -> ModelProto:
    """The model of a built folder, its weights with it: the folder is not needed any more."""
    return read_model(Path(directory) / MODEL)


def read_model(path: Path, *, weights: bool = True) -> ModelProto:
    """The model in a file, with weights that lie beside it, or with pointers to them."""
    read: Any = onnx
    found: ModelProto = read.load(path, load_external_data=weights)
    return found


class Runner:
    """A model on ONNX Runtime: quiet, and on as many threads as OMP_NUM_THREADS says.

    `tensors` stand in for initialisers of these names. Raises `Failure` where ONNX Runtime is not installed.
    """

    def __init__(
        self, model: ModelProto | Path, tensors: Mapping[str, Array] | None = None
    ) -> None:
        engine = _engine()
        options = engine.SessionOptions()
        options.log_severity_level = 3
        threads = os.environ.get("OMP_NUM_THREADS", "")
        if threads.isdecimal():
            options.intra_op_num_threads = int(threads)
        content: str | bytes
        if isinstance(model, Path):
            content = str(model)
        else:
            if tensors is not None or _weight(model) > LIMIT:
                model, arrays = split(model, tensors or {})
                values = [engine.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
                options.add_external_initializers(list(arrays), values)
            content = model.SerializeToString()
        self._session: Any = engine.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.input: str = self._session.get_inputs()[0].name
        self.main: str = self._session.get_outputs()[0].name
        switches = self._session.get_overridable_initializers()
        self._off = {
            value.name: np.array(False) for value in switches if value.type == "tensor(bool)"
        }

    def run(self, batch: Array, outputs: Sequence[str], *, dropout: bool = False) -> list[Array]:
        """The named outputs for a batch; a switch for dropout is off, or as the model has it with `dropout`."""
        feeds = {
            self.input: np.ascontiguousarray(batch, np.float32),
            **({} if dropout else self._off),
        }
        return list(self._session.run(list(outputs), feeds))


def _weight(model: ModelProto) -> int:
    """The bytes of the initialisers; protobuf's own count wraps around where there are too many."""
    return sum(4 * math.prod(tensor.dims) for tensor in model.graph.initializer)


def _engine() -> Any:
    try:
        import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        help = "pip install 'archspec-nn[onnx]'"
        raise MissingPackage(
            "ONNX models run on onnxruntime, which is not installed", help
        ) from error
    return onnxruntime


def split(model: ModelProto, tensors: Mapping[str, Array]) -> tuple[ModelProto, dict[str, Array]]:
    """A model without its weights, which protobuf cannot write where there are over 2 GB, and the weights."""
    light, arrays = ModelProto(), dict[str, Array]()
    _copy(light, model, "graph")
    _copy(light.graph, model.graph, "initializer")
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            light.graph.initializer.append(tensor)
            continue
        given = tensors[tensor.name] if tensor.name in tensors else numpy_helper.to_array(tensor)
        arrays[tensor.name] = np.ascontiguousarray(given, np.float32)
        bare = TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        bare.data_location = TensorProto.EXTERNAL
        bare.external_data.add(key="location", value="weights")
        light.graph.initializer.append(bare)
    return light, arrays


def _copy(to: Any, message: Any, without: str) -> None:
    """All fields of a message but one."""
    for field, content in message.ListFields():
        if field.name == without:
            continue
        if isinstance(content, str | int | bytes):
            setattr(to, field.name, content)
        elif isinstance(content, Iterable):
            getattr(to, field.name).extend(content)
        else:
            getattr(to, field.name).CopyFrom(content)


_kept: dict[str, Runner] = {}
"""What runs the latest model, by a digest of that."""


def predict(
    model: ModelProto | str | os.PathLike[str], batch: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """The main output for a batch [N, *input]; of a model, or of the file of one.

    What runs the latest model is kept, and made anew when the model has changed.
    """
    key = _digest(model) if isinstance(model, ModelProto) else _stamp(Path(model))
    if key not in _kept:
        _kept.clear()  # before the next one is made, so that both are never held
        _kept[key] = Runner(model if isinstance(model, ModelProto) else Path(model))
    runner = _kept[key]
    return runner.run(batch, [runner.main])[0]


def _digest(model: ModelProto) -> str:
    """Of a model's content, however large."""
    light, arrays = split(model, {})
    found = hashlib.sha256(light.SerializeToString(deterministic=True))
    for array in arrays.values():
        found.update(array.data)
    return found.hexdigest()


def _stamp(path: Path) -> str:
    """Of a model's file as it is now."""
    state = path.stat()
    return f"{path.resolve()} {state.st_size} {state.st_mtime_ns}"
