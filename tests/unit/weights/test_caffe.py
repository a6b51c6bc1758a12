"""Caffe's files, in a wire format that is put together by hand: new and old layers, shapes and numbers."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.diagnostics import Failure, MissingPackage
from archspec.weights import caffe
from tests.helpers.caffemodel import field, net

LAYERS = {
    "conv": [np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.array([0.5, -1], np.float32)],
    "relu": [],
    "fc": [np.arange(6, dtype=np.float32).reshape(2, 3)],
}


def read(tmp_path: Path, data: bytes) -> dict[str, Any]:
    (tmp_path / "net.caffemodel").write_bytes(data)
    found = caffe.read_caffemodel(tmp_path / "net.caffemodel")
    return {name: tensor.values for name, tensor in found.items()}


@pytest.mark.parametrize("v1", [False, True])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_blobs_by_layer_and_number(tmp_path: Path, v1: bool, double: bool, packed: bool) -> None:
    found = read(tmp_path, net(LAYERS, v1=v1, double=double, packed=packed))
    assert list(found) == ["conv:0", "conv:1", "fc:0"]
    for name, tensor in found.items():
        layer, _, number = name.partition(":")
        expected = LAYERS[layer][int(number)]
        assert tensor.dtype == (np.float64 if double else np.float32)
        assert tensor.shape == expected.shape
        assert (tensor == expected).all()


def test_old_shapes_have_four_sizes(tmp_path: Path) -> None:
    found = read(tmp_path, net(LAYERS, v1=True, legacy=True))
    assert {name: tensor.shape for name, tensor in found.items()} == {
        "conv:0": (2, 3, 2, 2),
        "conv:1": (1, 1, 1, 2),
        "fc:0": (1, 1, 2, 3),
    }
    assert (found["fc:0"].ravel() == np.arange(6)).all()


def test_fields_that_are_not_declared_are_passed_over(tmp_path: Path) -> None:
    assert list(
        read(tmp_path, net(LAYERS) + field(999, b"more") + field(8, field(1, b"\x01")))
    ) == [
        "conv:0",
        "conv:1",
        "fc:0",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no layer with weights"),
        (net({"relu": []}), "no layer with weights"),
        (b"\x80\x02not protobuf", "protobuf cannot read it"),
        (net(LAYERS)[:-3], "protobuf cannot read it"),
        (net(LAYERS) + net({"conv": LAYERS["conv"]}), "two layers are called conv"),
        (
            field(
                100, field(1, b"a") + field(7, field(7, field(1, b"\x03")) + field(5, b"\0\0\0\0"))
            ),
            "a:0 has 1 values, and the shape 3",
        ),
    ],
)
def test_what_is_none_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, data)


def test_without_protobuf_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("google"):
            raise ImportError(name)
        return original(name, *rest, **named)

    original = builtins.__import__
    caffe._schema.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(Failure, match="protobuf") as caught:
        read(tmp_path, net(LAYERS))
    assert isinstance(caught.value, MissingPackage)
    assert caught.value.help == "pip install 'archspec-nn[caffe]'"
