"""Bytes of a `.caffemodel`, put together by hand from protobuf's wire format.

A field is a key, its number * 8 plus the wire type (0: varint, 1: eight bytes, 2: length and
bytes, 5: four bytes), and its value.

>>> varint(300).hex(), field(4, b"fc").hex()
('ac02', '22026663')
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Blobs = Mapping[str, Sequence[Any]]
"""The arrays of each layer, by its name."""


def varint(number: int) -> bytes:
    groups: list[int] = []
    while True:
        number, group = number >> 7, number & 127
        groups.append(group | (128 if number else 0))
        if not number:
            return bytes(groups)


def field(number: int, payload: bytes) -> bytes:
    return varint(number * 8 + 2) + varint(len(payload)) + payload


def size(number: int, value: int) -> bytes:
    return varint(number * 8) + varint(value)


def blob(array: Any, *, legacy: bool = False, double: bool = False, packed: bool = True) -> bytes:
    """A BlobProto: its shape as `shape`, or as four sizes with ones in front, and its values in C
    order.
    """
    if legacy:
        sizes = (1,) * (4 - array.ndim) + array.shape
        shape = b"".join(size(number, value) for number, value in enumerate(sizes, start=1))
    else:
        shape = field(7, field(1, b"".join(map(varint, array.shape))))
    values = [
        struct.pack("<d" if double else "<f", value) for value in np.asarray(array).ravel().tolist()
    ]
    number = 8 if double else 5
    if packed:
        return shape + field(number, b"".join(values))
    return shape + b"".join(varint(number * 8 + (1 if double else 5)) + value for value in values)


def net(
    layers: Blobs, *, v1: bool = False, types: Mapping[str, str] | None = None, **how: bool
) -> bytes:
    """A NetParameter of convolutions, but for the layers with other types; `v1` has the layers as
    they were written before 2015.
    """
    return field(1, b"net") + b"".join(
        _layer(name, (types or {}).get(name, "Convolution"), arrays, v1, how)
        for name, arrays in layers.items()
    )


def _layer(name: str, kind: str, arrays: Iterable[Any], v1: bool, how: Mapping[str, bool]) -> bytes:
    blobs = b"".join(field(6 if v1 else 7, blob(array, **how)) for array in arrays)
    if v1:
        return field(2, field(4, name.encode()) + size(5, 4) + blobs)
    return field(100, field(1, name.encode()) + field(2, kind.encode()) + blobs)
