"""Comparing tensors by name sees each wrong one; the hand-made wire format is protobuf's."""

from __future__ import annotations

import numpy as np

import archspec
from tests.helpers.caffemodel import net, varint
from tests.helpers.tensors import drawn, same

TENSORS = {"a": np.ones((2, 3), np.float32), "b": np.zeros(1, np.float32)}


def test_the_same_tensors_are_the_same() -> None:
    assert same({name: tensor.copy() for name, tensor in TENSORS.items()}, TENSORS)


def test_other_tensors_are_not() -> None:
    for wrong in (
        {},
        {"a": TENSORS["a"]},
        TENSORS | {"c": TENSORS["b"]},
        TENSORS | {"a": TENSORS["a"].T},
        TENSORS | {"a": TENSORS["a"].astype(np.float64)},
        TENSORS | {"b": np.full(1, np.nan, np.float32)},
        TENSORS | {"a": TENSORS["a"] + np.float32(1e-7)},
    ):
        assert not same(wrong, TENSORS)


def test_no_two_places_have_the_same_value() -> None:
    values = np.concatenate(
        [tensor.ravel() for tensor in drawn(archspec.load("lenet5").graph).values()]
    )
    assert len(np.unique(values)) > 0.99 * values.size


def test_wire_bytes_are_those_of_the_published_encoding() -> None:
    """The varint of 150 is the example of protobuf's documentation; the rest is counted by hand."""
    assert varint(150) == b"\x96\x01"
    one = net({"a": [np.array([1.0], np.float32)]})
    blob = b"\x3a\x03\x0a\x01\x01" + b"\x2a\x04" + b"\x00\x00\x80\x3f"
    layer = b"\x0a\x01a" + b"\x12\x0bConvolution" + b"\x3a" + bytes([len(blob)]) + blob
    assert one == b"\x0a\x03net" + b"\xa2\x06" + bytes([len(layer)]) + layer
