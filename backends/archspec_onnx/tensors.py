"""A build's weights: the header of `weights.safetensors`, and initialisers that hold tensors or point at them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from archspec.ir.types import Shape

LIMIT = 2**31 - 2**24
"""How many bytes of weights a file can hold: protobuf ends at 2 GiB, and the network itself needs room."""


class Tensors:
    """The tensors of a neutral checkpoint by name; nothing of them is read before it is asked for.

    Raises ValueError where the file is none, or a tensor is missing or of another shape or type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            self._start = 8 + length
            # A length of nonsense is not read to the end.
            header: Any = json.loads(file.read(length)) if self._start <= self._size else None
        if not isinstance(header, dict):
            raise ValueError(f"{path.name} is no safetensors file")
        self._header = cast("dict[str, Any]", header)

    def external(self, name: str, value: str, shape: Shape) -> TensorProto:
        """An initialiser named `value` that points at a tensor in its file, which has to lie beside the model."""
        start, end = self._range(name, shape)
        made = TensorProto(
            name=value, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
        )
        where = {"location": self.path.name, "offset": self._start + start, "length": end - start}
        for key, entry in where.items():
            made.external_data.add(key=key, value=str(entry))
        return made

    def inside(self, name: str, value: str, shape: Shape) -> TensorProto:
        """An initialiser that holds the tensor."""
        return TensorProto(
            name=value, dims=shape, data_type=TensorProto.FLOAT, raw_data=self._data(name, shape)
        )

    def array(self, name: str, shape: Shape) -> NDArray[np.float32]:
        """The tensor."""
        return np.frombuffer(self._data(name, shape), "<f4").astype(np.float32).reshape(shape)

    def _data(self, name: str, shape: Shape) -> bytes:
        start, end = self._range(name, shape)
        with self.path.open("rb") as file:
            file.seek(self._start + start)
            return file.read(end - start)

    def _range(self, name: str, shape: Shape) -> tuple[int, int]:
        """Where a tensor lies after the header, first byte and end."""
        entry: Any = self._header.get(name)
        stated = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        if (stated.get("dtype"), stated.get("shape")) != ("F32", list(shape)):
            given = f"{stated.get('dtype')} {stated.get('shape')}" if stated else "nothing"
            raise ValueError(f"{name} in {self.path.name} is F32 {list(shape)}, found {given}")
        match stated.get("data_offsets"):
            case [int(start), int(end)] if start >= 0 and end - start == 4 * math.prod(shape):
                if self._start + end <= self._size:
                    return start, end
            case _:
                pass
        raise ValueError(f"{name} in {self.path.name} lies outside of the file")
