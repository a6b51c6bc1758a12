"""A build's weights, read one tensor at a time, and initialisers made of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from archspec.ir.types import Shape

MAX_MODEL_BYTES = 2**31 - 2**24
"""The most bytes of weights in a model: protobuf ends at 2 GiB, with the network itself."""


class CheckpointTensors:
    """The tensors of a portable checkpoint, each read when it is asked for.

    Raises ValueError if the file is not a checkpoint, or a tensor is missing or of another shape or
    type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            self._start = 8 + length
            # A damaged length can exceed the file by any amount: do not read that much.
            header: Any = json.loads(file.read(length)) if self._start <= self._size else None
        if not isinstance(header, dict):
            raise ValueError(f"{path.name} is no safetensors file")
        self._header = cast("dict[str, Any]", header)

    def external(self, name: str, value: str, shape: Shape) -> TensorProto:
        """Return an initialiser named `value` that refers to a tensor, in a file beside the
        model."""
        start, end = self._range(name, shape)
        initializer = TensorProto(
            name=value, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
        )
        location = {
            "location": self.path.name,
            "offset": self._start + start,
            "length": end - start,
        }
        for key, entry in location.items():
            initializer.external_data.add(key=key, value=str(entry))
        return initializer

    def inside(self, name: str, value: str, shape: Shape) -> TensorProto:
        """Return an initialiser named `value` that holds a tensor."""
        return TensorProto(
            name=value, dims=shape, data_type=TensorProto.FLOAT, raw_data=self._data(name, shape)
        )

    def array(self, name: str, shape: Shape) -> NDArray[np.float32]:
        """Return a tensor as an array."""
        return np.frombuffer(self._data(name, shape), "<f4").astype(np.float32).reshape(shape)

    def _data(self, name: str, shape: Shape) -> bytes:
        start, end = self._range(name, shape)
        with self.path.open("rb") as file:
            file.seek(self._start + start)
            return file.read(end - start)

    def _range(self, name: str, shape: Shape) -> tuple[int, int]:
        """Return a tensor's first byte and end, counted from the end of the header."""
        entry: Any = self._header.get(name)
        fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        if (fields.get("dtype"), fields.get("shape")) != ("F32", list(shape)):
            actual = f"{fields.get('dtype')} {fields.get('shape')}" if fields else "nothing"
            raise ValueError(f"{name} in {self.path.name} is F32 {list(shape)}, found {actual}")
        match fields.get("data_offsets"):
            case [int(start), int(end)] if start >= 0 and end - start == 4 * math.prod(shape):
                if self._start + end <= self._size:
                    return start, end
            case _:
                pass
        raise ValueError(f"{name} in {self.path.name} lies outside of the file")
