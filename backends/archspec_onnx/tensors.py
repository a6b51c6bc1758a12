"""A build's weights: the header of `weights.safetensors`, and initialisers that hold tensors or point at them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from archspec.types import Shape

LIMIT = 2**31 - 2**24
"""How many bytes of weights a file can hold: protobuf ends at 2 GiB, and the network itself needs room."""


class Tensors:
    """The tensors of a neutral checkpoint by name; nothing of them is read before it is asked for.

    Raises ValueError where the file is none, or a tensor is missing or of another shape or type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            self._start = 8 + length
            if self._start > path.stat().st_size:
                raise ValueError(f"{path.name} is no safetensors file")
            self._header: dict[str, Any] = json.loads(file.read(length))

    def external(self, name: str, value: str, shape: Shape) -> TensorProto:
        """An initialiser named `value` that points at a tensor in its file, which has to lie beside the model."""
        start, end = self._range(name, shape)
        made = TensorProto(name=value, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        where = {"location": self.path.name, "offset": self._start + start, "length": end - start}
        for key, entry in where.items():
            made.external_data.add(key=key, value=str(entry))
        return made

    def inside(self, name: str, value: str, shape: Shape) -> TensorProto:
        """An initialiser that holds the tensor."""
        return TensorProto(name=value, dims=shape, data_type=TensorProto.FLOAT, raw_data=self._data(name, shape))

    def array(self, name: str, shape: Shape) -> NDArray[np.float32]:
        """The tensor."""
        return np.frombuffer(self._data(name, shape), "<f4").astype(np.float32).reshape(shape)

    def _data(self, name: str, shape: Shape) -> bytes:
        start, end = self._range(name, shape)
        with self.path.open("rb") as file:
            file.seek(self._start + start)
            data = file.read(end - start)
        if len(data) != 4 * math.prod(shape):
            raise ValueError(f"{name} in {self.path.name} has {len(data)} bytes, expected {4 * math.prod(shape)}")
        return data

    def _range(self, name: str, shape: Shape) -> tuple[int, int]:
        entry: dict[str, Any] = self._header.get(name, {})
        if (entry.get("dtype"), entry.get("shape")) != ("F32", list(shape)):
            found = f"{entry['dtype']} {entry['shape']}" if entry else "nothing"
            raise ValueError(f"{name} in {self.path.name} is F32 {list(shape)}, found {found}")
        start, end = entry["data_offsets"]
        return start, end
