"""Read Caffe's `.caffemodel`: the tensors of a NetParameter in protobuf's wire format.

The layer `conv1` has `conv1:0`, its weight, and `conv1:1`, its bias. What a layer does with its
blobs follows from its type: a BatchNorm divides the first two by the third. Only the fields that
are needed are declared here; the numbers are those that Caffe publishes.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

from archspec._files import read_bytes
from archspec._numpy import Array, np
from archspec.backend import FileTensor
from archspec.diagnostics import MissingPackage

LEGACY = ("num", "channels", "height", "width")
"""Shape fields of older files: always four sizes, padded in front with 1."""

MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "BlobShape": {"dim": (1, "INT64", True)},
    "BlobProto": {
        **{size: (number, "INT32", False) for number, size in enumerate(LEGACY, start=1)},
        "data": (5, "FLOAT", True),
        "shape": (7, "BlobShape", False),
        "double_data": (8, "DOUBLE", True),
    },
    "InnerProductParameter": {"transpose": (6, "BOOL", False)},
    "V1LayerParameter": {
        "name": (4, "STRING", False),
        "type": (5, "INT32", False),
        "blobs": (6, "BlobProto", True),
    },
    "LayerParameter": {
        "name": (1, "STRING", False),
        "type": (2, "STRING", False),
        "blobs": (7, "BlobProto", True),
        "inner_product_param": (117, "InnerProductParameter", False),
    },
    "NetParameter": {
        "name": (1, "STRING", False),
        "layers": (2, "V1LayerParameter", True),
        "layer": (100, "LayerParameter", True),
    },
}
"""Field numbers, types and whether a field is repeated."""


V1_TYPES = {4: "Convolution", 14: "InnerProduct", 39: "Deconvolution"}
"""The types of layers with weights, by the numbers that older files have for them."""
AS_THEY_ARE = ("Convolution", "Deconvolution", "InnerProduct", "Scale", "Bias", "PReLU")
"""The types of layers whose blobs are laid out as the portable tensors."""


def read_caffemodel(path: Path) -> dict[str, FileTensor]:
    """Return the blobs of every layer.

    Raise ValueError if the file is damaged, `MissingPackage` if protobuf is not installed.
    """
    net = _schema()()
    try:
        net.ParseFromString(read_bytes(path))
    except Exception as error:  # protobuf's own DecodeError is no ValueError
        raise ValueError("protobuf cannot read it") from error
    blobs: dict[str, FileTensor] = {}
    for layer in (*net.layers, *net.layer):
        arrays = [_array(f"{layer.name}:{number}", blob) for number, blob in enumerate(layer.blobs)]
        for number, tensor in enumerate(_file_tensors(layer, arrays)):
            name = f"{layer.name}:{number}"
            if name in blobs:
                raise ValueError(f"two layers are called {layer.name}")
            blobs[name] = tensor
    if not blobs:
        raise ValueError("it holds no layer with weights")
    return blobs


def _file_tensors(layer: Any, arrays: list[Array]) -> list[FileTensor]:
    """Return a layer's blobs with what a layer of its type does with them."""
    kind = str(V1_TYPES.get(layer.type, layer.type))
    if kind == "BatchNorm" and len(arrays) == 3 and arrays[2].size == 1:
        # Caffe takes 0 as a sum of nothing, whose mean is 0.
        factor = float(arrays[2].ravel()[0])
        running = [FileTensor(array, kind, (), divisor=factor) for array in arrays[:2]]
        return [*running, FileTensor(arrays[2], kind, unused="the divisor of the two before it")]
    if kind not in AS_THEY_ARE:
        return [FileTensor(array, kind) for array in arrays]
    is_transposed = kind == "InnerProduct" and _transposes(layer)
    return [
        FileTensor(array, kind, (1, 0) if is_transposed and number == 0 else (), flat_order="chw")
        for number, array in enumerate(arrays)
    ]


def _transposes(layer: Any) -> bool:
    """Return whether an InnerProduct's matrix is [in, out]; older files have no such option."""
    options: Any = getattr(layer, "inner_product_param", None)
    return options is not None and bool(options.transpose)


def _array(name: str, blob: Any) -> Array:
    shape = (
        tuple(blob.shape.dim)
        if blob.HasField("shape")
        else tuple(getattr(blob, size) for size in LEGACY)
    )
    values = np.array(blob.double_data or blob.data, np.float64 if blob.double_data else np.float32)
    if math.prod(shape) != values.size or min(shape, default=0) < 0:
        raise ValueError(
            f"{name} has {values.size:,} values, and the shape {'x'.join(map(str, shape))}"
        )
    return values.reshape(shape)


@cache
def _schema() -> Any:
    """The class of a NetParameter."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        help = "pip install 'archspec-nn[caffe]'"
        raise MissingPackage(
            "a .caffemodel is read with protobuf, which is not installed", help
        ) from None
    file: Any = descriptor_pb2.FileDescriptorProto(
        name="weights.proto", package="weights", syntax="proto2"
    )
    for message, fields in MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, type_name, repeated) in fields.items():
            field = declared.field.add(name=name, number=number, label=3 if repeated else 1)
            if type_name in MESSAGES:
                field.type, field.type_name = field.TYPE_MESSAGE, f".weights.{type_name}"
            else:
                field.type = getattr(field, f"TYPE_{type_name}")
    # proto2 reads numbers packed or not, whatever the schema says
    pool: Any = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("weights.NetParameter"))
