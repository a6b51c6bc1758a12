"""The rows behind a flatten: followed through what moves no axis, held against ONNX Runtime, or refused."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from onnx import TensorProto, helper

from archspec import weights
from archspec.weights import CheckpointError
from archspec_onnx.flat_order import constant_uses
from tests.unit.weights.test_layouts import drawn, model_of, outputs, rules, spec_of

HWC, CHW = [0, 2, 3, 1], [0, 3, 1, 2]
CONSTANTS: dict[str, Any] = {
    "flat": np.array([0, -1]),
    "pads": np.array([0, 1, 2, 0, 0, 1, 2, 0]),
    "sizes": np.ones(4, np.float32),
    "rest": np.array([-1]),
    "zero": np.array(0),
    "from": np.array([0]),
    "to": np.array([1]),
}


def node(op: str, *names: str, **attributes: Any) -> Any:
    """A node that reads and writes by names, of which the last is its output's."""
    return helper.make_node(op, names[:-1], names[-1:], **attributes)


TURNED, FLAT = node("Transpose", "c", "t", perm=HWC), node("Reshape", "m", "flat", "f")
SIZE = [
    node("Shape", "m", "s"),
    node("Gather", "s", "zero", "n"),
    node("Unsqueeze", "n", "from", "u"),
]
JOINED = [node("Concat", "u", "rest", "shape", axis=0), node("Reshape", "m", "shape", "f")]
POOLED = "  - avg_pool: {kernel: [4, 1], stride: 1}\n"
PADDED = "  - pad: {padding: [1, 2]}\n"
FOLLOWED: dict[str, tuple[str, list[Any]]] = {
    "pad": (PADDED, [TURNED, node("Pad", "t", "pads", "m"), FLAT]),
    "resize": (
        "",
        [TURNED, node("Resize", "t", "", "sizes", "m", mode="nearest"), FLAT],
    ),
    "mean of rows": (POOLED, [TURNED, node("ReduceMean", "t", "m", axes=[1], keepdims=0), FLAT]),
    "mean of rows, channels first": (POOLED, [node("ReduceMean", "c", "m", axes=[2]), FLAT]),
    "mean of rows from the end": (POOLED, [TURNED, node("ReduceMean", "t", "m", axes=[-3]), FLAT]),
    "squeezed": (
        POOLED,
        [TURNED, node("ReduceMean", "t", "r", axes=[1]), node("Squeeze", "r", "to", "m"), FLAT],
    ),
    "a computed shape": ("", [node("Transpose", "c", "m", perm=HWC), *SIZE, *JOINED]),
    "a flatten": ("", [TURNED, node("Flatten", "t", "f")]),
}
REFUSED: dict[str, tuple[str, list[Any]]] = {
    "a pool of turned maps": (
        "  - avg_pool: {kernel: [1, 1], stride: 1}\n",
        [TURNED, node("AveragePool", "t", "m", kernel_shape=[1, 1]), FLAT],
    ),
    "a mean that may be of channels": (
        "  - avg_pool: {kernel: [1, 3], stride: 1}\n",
        [TURNED, node("ReduceMean", "t", "m", axes=[2]), FLAT],
    ),
    "a shape of unknown length": (
        "",
        [
            node("Transpose", "c", "m", perm=HWC),
            node("Shape", "m", "s"),
            node("Slice", "s", "from", "to", "u"),
            *JOINED,
        ],
    ),
}


def imported(folder: Path, steps: str, nodes: list[Any]) -> tuple[Any, Any]:
    """Our outputs with a file's weights, and those of the file."""
    text = "  - {name: conv, conv: {out: 4, kernel: 3, bias: false}}\n" + steps
    spec = spec_of(text + "  - flatten\n  - {name: fc, linear: {out: 3, bias: false}}\n")
    x, features = drawn(2, 3, 6, 5, seed=1), spec.graph.nodes[-2].shape[0]
    named = {name for each in nodes for name in each.input}
    constants = {name: value for name, value in CONSTANTS.items() if name in named}
    conv, end = node("Conv", "x", "k", "c"), node("MatMul", "f", "w", "y")
    tensors = {"k": drawn(4, 3, 3, 3), "w": drawn(features, 3)}
    theirs = model_of(folder, [conv, *nodes, end], x, **tensors, **constants)
    text = "  k: conv.weight\n  w: fc.weight\n"
    if "sizes" in constants:
        (folder / "map.yaml").write_text(f"rules:\n{text}ignored: {{sizes: of a Resize}}\n")
        return outputs(spec, folder / "model.onnx", x, str(folder / "map.yaml")), theirs
    return outputs(spec, folder / "model.onnx", x, rules(folder, text)), theirs


@pytest.mark.parametrize("case", FOLLOWED)
def test_what_leaves_the_axes_in_their_order_is_followed(case: str, tmp_path: Path) -> None:
    ours, theirs = imported(tmp_path, *FOLLOWED[case])
    assert np.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_followed_leaves_no_order(case: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the order, C,H,W or H,W,C, of the features in `w`"):
        imported(tmp_path, *REFUSED[case])


def test_keras_layers_of_turned_maps_leave_no_order(tmp_path: Path) -> None:
    layers = keras.layers
    inner = [layers.Permute((3, 1, 2)), layers.ZeroPadding2D(0), layers.Flatten()]
    first = [layers.Input((6, 5, 3)), layers.Conv2D(4, 3, name="conv")]
    keras.Sequential([*first, *inner, layers.Dense(4, name="fc")]).save(tmp_path / "m.keras")
    text = "  - {name: conv, conv: {out: 4, kernel: 3}}\n  - flatten\n"
    spec = spec_of(text + "  - {name: fc, linear: {out: 4}}\n")
    with pytest.raises(CheckpointError, match="the order, C,H,W or H,W,C, of the features"):
        weights.load(tmp_path / "m.keras", spec)


def test_a_file_that_was_read_leaves_nothing_behind() -> None:
    nodes = [
        node("Einsum", "x", "u", equation="ni->ni"),
        node("Add", "u", "x", "a"),
        node("MatMul", "a", "w", "y"),
    ]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph(nodes, "g", [value], [])
    (features, _) = constant_uses(graph, {"w": TensorProto(dims=[4, 4])})["w"].features
    left = weakref.ref(features)
    del features, _
    gc.collect()
    assert left() is None


@pytest.mark.parametrize(
    "op", ["Reshape", "Squeeze", "Concat", "Gather", "Transpose", "ReduceMean"]
)
def test_nodes_of_a_damaged_graph_are_nothing_known(op: str) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 9])
    damaged = [node(op, "x", "a", axes=3, perm=1), node(op, "s", axis=0)]
    flat = [node("Reshape", "a", "s", "f"), node("MatMul", "f", "w", "y")]
    graph = helper.make_graph([*damaged, *flat], "g", [value], [])
    assert constant_uses(graph, {"w": TensorProto(dims=[4, 4])})["w"].flat_order is None
