"""Foreign layouts: what a file's layers do with their tensors, held against the frameworks that run those files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from torch.nn import functional

from archspec import weights
from archspec.frontend.loader import Spec
from archspec.passes.inference import inference_graph
from archspec.reference import evaluate
from archspec.weights import CheckpointError
from archspec.weights.inspect import inspect
from archspec.weights.weight_source import WeightSource
from tests.helpers.caffemodel import net
from tests.helpers.specs import checked

layers = keras.layers


def spec_of(network: str, input: str = "[3, 6, 5]") -> Spec:
    return checked(f"archspec: 1\nname: net\ninput: {input}\nnetwork:\n{network}")


def outputs(spec: Spec, path: Path, x: Any, mapping: str | None = None) -> Any:
    """The outputs of the float64 reference with a file's weights."""
    tensors = weights.load(path, spec, mapping=mapping)
    return evaluate(spec.graph, tensors, x).outputs["main"]


def rules(folder: Path, text: str) -> str:
    (folder / "map.yaml").write_text(f"rules:\n{text}")
    return str(folder / "map.yaml")


def randomized(model: Any) -> Any:
    """The model with weights that no two places share, zero biases and unit scales included."""
    generator = np.random.default_rng(0)
    model.set_weights([generator.uniform(0.2, 1, w.shape) for w in model.get_weights()])
    return model


# Keras

CONV = "  - {name: conv, conv: {out: 4, kernel: 3}}\n"
FLAT = (CONV + "  - flatten\n  - {name: fc, linear: {out: 4}}\n", layers.Flatten)
KERAS: dict[str, tuple[str, list[Any]]] = {
    "flatten": (FLAT[0], [layers.Flatten(), layers.Dense(4, name="fc")]),
    "reshape to a vector": (FLAT[0], [layers.Reshape((48,)), layers.Dense(4, name="fc")]),
    "channels first by hand": (
        FLAT[0],
        [layers.Permute((3, 1, 2)), layers.Flatten(), layers.Dense(4, name="fc")],
    ),
    "norm and dropout between": (
        CONV
        + "  - flatten\n  - {name: bn, batch_norm: {eps: 0.001}}\n  - relu\n"
        + "  - {name: fc, linear: {out: 4}}\n  - {name: two, linear: {out: 4}}\n",
        [
            layers.Flatten(),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.Dense(4, name="fc"),
            layers.Dense(4, name="two"),
        ],
    ),
    "a vector that becomes a map": (
        CONV
        + "  - global_avg_pool\n  - flatten\n  - {name: fc, linear: {out: 24}}\n"
        + "  - {name: bn, batch_norm: {eps: 0.001}}\n  - reshape: {to: [6, 2, 2]}\n"
        + "  - {name: up, conv_transpose: {out: 6, kernel: 2, stride: 2}}\n",
        [
            layers.GlobalAveragePooling2D(),
            layers.Dense(24, name="fc"),
            layers.BatchNormalization(name="bn"),
            layers.Reshape((2, 2, 6)),
            layers.Conv2DTranspose(6, 2, strides=2, name="up"),
        ],
    ),
    "depthwise and square": (
        CONV + "  - {name: dw, conv: {out: 8, kernel: 2, groups: 4}}\n"
        "  - global_avg_pool\n  - flatten\n  - {name: fc, linear: {out: 8}}\n",
        [
            layers.DepthwiseConv2D(2, depth_multiplier=2, name="dw"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(8, name="fc"),
        ],
    ),
    "a model in a model": (
        CONV + "  - {name: base, inner: }\nblocks: {inner: {body: [{name: conv, conv: {out: 4,"
        " kernel: 2}}, flatten, {name: fc, linear: {out: 24}}]}}\n",
        [
            keras.Sequential(
                [
                    layers.Input((4, 3, 4)),
                    layers.Conv2D(4, 2, name="conv"),
                    layers.Flatten(),
                    layers.Dense(24, name="fc"),
                ],
                name="base",
            )
        ],
    ),
}


@pytest.mark.parametrize("case", KERAS)
def test_a_keras_models_own_file_gives_its_outputs(case: str, tmp_path: Path) -> None:
    network, rest = KERAS[case]
    first = [layers.Input((6, 5, 3)), layers.Conv2D(4, 3, name="conv")]
    model = randomized(
        keras.Sequential([*first, *(type(r).from_config(r.get_config()) for r in rest)])
    )
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(1).standard_normal((2, 3, 6, 5)).astype(np.float32)
    theirs = np.asarray(keras.ops.convert_to_numpy(model(np.moveaxis(x, 1, -1), training=False)))
    theirs = np.moveaxis(theirs, -1, 1)
    ours = outputs(spec_of(network), tmp_path / "model.keras", x)
    assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


def test_rows_of_the_part_that_inference_needs(tmp_path: Path) -> None:
    """Its nodes are counted anew, without what inference leaves out."""
    text = CONV + "  - dropout: {rate: 0.5}\n  - identity\n  - flatten\n"
    spec = spec_of(text + "  - {name: fc, linear: {out: 4}}\n")
    model = [layers.Input((6, 5, 3)), layers.Conv2D(4, 3, name="conv"), layers.Flatten()]
    keras.Sequential([*model, layers.Dense(4, name="fc")]).save(tmp_path / "model.keras")
    source = WeightSource(tmp_path / "model.keras")
    part = weights.load_from(source, spec, graph=inference_graph(spec.graph)).tensors
    whole = weights.load(tmp_path / "model.keras", spec)
    assert all((part[name] == whole[name]).all() for name in whole)


def test_every_variable_of_a_keras_file_is_listed(tmp_path: Path) -> None:
    x = layers.Input((10, 8))
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    y = layers.MultiHeadAttention(2, 4, name="attention")(y, y)
    y = layers.SeparableConv1D(4, 2)(y)
    inner = keras.Sequential([layers.Input((9, 4)), layers.GRU(3), layers.Dense(2)], name="inner")
    model = keras.Model(x, inner(y))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    contents = inspect(tmp_path / "model.keras")
    assert (len(contents.weights), contents.values) == (len(model.weights), model.count_params())
    shapes = sorted(tuple(variable.shape) for variable in model.weights)
    assert sorted(tensor.shape for tensor in contents.weights) == shapes
    beside = [tensor for tensor in contents.tensors if tensor.unused]
    assert len(beside) == len(model.optimizer.variables)
    assert {tensor.unused for tensor in beside} == {"of the optimizer"}


def test_what_a_layer_of_ones_own_does_is_not_guessed(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable(package="mine")
    class Dense(layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.kernel = self.add_weight(shape=(3, 3), name="kernel")

        def call(self, inputs: Any) -> Any:
            return inputs @ self.kernel

    keras.Sequential([layers.Input((3,)), Dense(name="fc")]).save(tmp_path / "model.keras")
    spec = spec_of("  - {name: fc, linear: {out: 3, bias: false}}\n", "[3]")
    rule = "  fc/0: {to: fc.weight, transpose: in_out}\n"
    with pytest.raises(CheckpointError, match="what a layer `Dense` does with `fc/0`"):
        weights.load(tmp_path / "model.keras", spec, mapping=rules(tmp_path, "  fc/0: fc.weight\n"))
    found = weights.load(tmp_path / "model.keras", spec, mapping=rules(tmp_path, rule))
    (tensor,) = inspect(tmp_path / "model.keras").tensors
    assert tensor.mean == pytest.approx(found["fc.weight"].mean())


# ONNX


def model_of(folder: Path, nodes: list[Any], x: Any, **constants: Any) -> Any:
    """Write a model, and return its output for an input."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["N", *x.shape[1:]]), ("y", None))
    ]
    stored = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    return session.run(None, {"x": x})[0]


def drawn(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


SQUARE = "  - {name: fc, linear: {out: 4, bias: false}}\n"
MULTIPLIED: dict[str, list[Any]] = {
    "matmul": [helper.make_node("MatMul", ["x", "w"], ["y"])],
    "gemm": [helper.make_node("Gemm", ["x", "w"], ["y"])],
    "gemm of the transposed": [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
    "transposed before": [
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ],
    "a constant node": [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(drawn(4, 4))),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ],
}


@pytest.mark.parametrize("case", MULTIPLIED)
def test_a_square_matrix_is_turned_as_the_graph_multiplies_by_it(case: str, tmp_path: Path) -> None:
    nodes, x = MULTIPLIED[case], drawn(3, 4, seed=1)
    constants = {} if case == "a constant node" else {"w": drawn(4, 4)}
    y = model_of(tmp_path, nodes, x, **constants)
    mapping = rules(tmp_path, "  w: fc.weight\n")
    assert np.allclose(outputs(spec_of(SQUARE, "[4]"), tmp_path / "model.onnx", x, mapping), y)
    assert [tensor.name for tensor in inspect(tmp_path / "model.onnx").tensors] == ["w"]


@pytest.mark.parametrize("last", [False, True])
def test_rows_behind_a_flatten_follow_the_graph(tmp_path: Path, last: bool) -> None:
    """As exporters of channels-last frameworks write it, with a Transpose before the Reshape."""
    conv = helper.make_node("Conv", ["x", "k"], ["c"])
    turned = helper.make_node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1])
    flat = helper.make_node("Reshape", ["t" if last else "c", "shape"], ["f"])
    end = helper.make_node("MatMul", ["f", "w"], ["y"])
    nodes = [conv, *([turned] if last else []), flat, end]
    constants = {"k": drawn(4, 3, 3, 3), "w": drawn(48, 4), "shape": np.array([-1, 48])}
    x = drawn(2, 3, 6, 5, seed=1)
    y = model_of(tmp_path, nodes, x, **constants)
    mapping = rules(tmp_path, "  k: conv.weight\n  w: fc.weight\n")
    spec = spec_of(
        FLAT[0]
        .replace("kernel: 3", "kernel: 3, bias: false")
        .replace("{out: 4}", "{out: 4, bias: false}")
    )
    assert np.allclose(outputs(spec, tmp_path / "model.onnx", x, mapping), y, atol=1e-5)


def test_a_use_that_is_not_known_is_refused(tmp_path: Path) -> None:
    x, w = drawn(3, 4, seed=1), drawn(4, 4)
    model_of(
        tmp_path, [helper.make_node("Einsum", ["x", "w"], ["y"], equation="ni,io->no")], x, w=w
    )
    with pytest.raises(CheckpointError, match="what a layer `Einsum` does with `w`"):
        outputs(
            spec_of(SQUARE, "[4]"), tmp_path / "model.onnx", x, rules(tmp_path, "  w: fc.weight\n")
        )


# Files of names alone


def test_a_square_kernel_of_unknown_origin_needs_a_word(tmp_path: Path) -> None:
    kernel, path = drawn(4, 4), tmp_path / "flax.safetensors"
    save_file({"params/Dense_0/kernel": kernel}, path)
    spec, name = spec_of(SQUARE, "[4]"), "params/Dense_0/kernel"
    with pytest.raises(CheckpointError, match="in or out first; .*`transpose: in_out`"):
        weights.load(path, spec, mapping=rules(tmp_path, f"  {name}: fc.weight\n"))
    for word, expected in (("in_out", kernel.T), ("none", kernel)):
        mapping = rules(tmp_path, f"  {name}: {{to: fc.weight, transpose: {word}}}\n")
        assert (weights.load(path, spec, mapping=mapping)["fc.weight"] == expected).all()


def test_rows_of_unknown_origin_need_a_word(tmp_path: Path) -> None:
    spec = spec_of("  - flatten\n" + SQUARE, "[2, 3, 1]")
    kernel, path = drawn(6, 4), tmp_path / "flax.safetensors"
    save_file({"kernel": kernel}, path)
    rule = "  kernel: {to: fc.weight, transpose: in_out, rows: hwc}\n"
    with pytest.raises(CheckpointError, match=r"expected 4x6; a mapping's `transpose: in_out`"):
        weights.load(path, spec, mapping=rules(tmp_path, "  kernel: fc.weight\n"))
    with pytest.raises(CheckpointError, match="the order, C,H,W or H,W,C, of the features"):
        weights.load(path, spec, mapping=rules(tmp_path, rule.replace(", rows: hwc", "")))
    found = weights.load(path, spec, mapping=rules(tmp_path, rule))["fc.weight"]
    by_hand = [[kernel[h * 2 + c, o] for c in range(2) for h in range(3)] for o in range(4)]
    assert (found == np.array(by_hand)).all()


def test_a_tensor_that_holds_several(tmp_path: Path) -> None:
    parts = ["q", "k", "v"]
    text = "".join(f"  - {{name: {p}, linear: {{out: {2 + i}}}}}\n" for i, p in enumerate(parts))
    spec = spec_of(text.replace("- {name", "- {from: input, name"), "[4]")
    tensors = {"qkv.weight": drawn(9, 4), "qkv.bias": drawn(9)}
    save_file(tensors, tmp_path / "w.safetensors")
    lines = [
        f"  qkv.{role}: {{split: [{', '.join(f'{p}.{role}' for p in parts)}]}}\n"
        for role in ("weight", "bias")
    ]
    found = weights.load(tmp_path / "w.safetensors", spec, mapping=rules(tmp_path, "".join(lines)))
    for part, rows in zip(parts, (slice(0, 2), slice(2, 5), slice(5, 9)), strict=True):
        assert (found[f"{part}.weight"] == tensors["qkv.weight"][rows]).all()
        assert (found[f"{part}.bias"] == tensors["qkv.bias"][rows]).all()


@pytest.mark.parametrize("word", ["", ", transpose: in_out"])
def test_transposed_convolutions_are_split_along_their_outputs(tmp_path: Path, word: str) -> None:
    """PyTorch's weight is [in, out, *kernel]; here as many inputs as outputs in all."""
    text = "".join(
        f"  - {{from: input, name: {n}, conv_transpose: {{out: {out}, kernel: 2, stride: 2}}}}\n"
        for n, out in (("u", 1), ("v", 3))
    )
    tensors = {"uv.weight": drawn(4, 4, 2, 2), "uv.bias": drawn(4)}
    stored = tensors["uv.weight"].transpose(2, 3, 0, 1) if word else tensors["uv.weight"]
    save_file({**tensors, "uv.weight": np.ascontiguousarray(stored)}, tmp_path / "w.safetensors")
    mapping = rules(
        tmp_path,
        f"  uv.weight: {{split: [u.weight, v.weight]{word}}}\n"
        "  uv.bias: {split: [u.bias, v.bias]}\n",
    )
    x = drawn(2, 4, 3, 5, seed=1)
    spec = spec_of(text, "[4, 3, 5]")
    found = weights.load(tmp_path / "w.safetensors", spec, mapping=mapping)
    whole = functional.conv_transpose2d(
        *map(torch.from_numpy, (x, tensors["uv.weight"], tensors["uv.bias"])), stride=2
    ).numpy()
    ours = evaluate(spec.graph, found, x).outputs["main"]
    assert np.allclose(ours, whole[:, 1:], atol=1e-5)
    assert (found["u.weight"] == tensors["uv.weight"][:, :1]).all()


def test_transposed_convolutions_of_groups_are_not_split(tmp_path: Path) -> None:
    text = "".join(
        f"  - {{from: input, name: {n}, conv_transpose: "
        "{out: 4, kernel: 2, groups: 2, bias: false}}\n"
        for n in "uv"
    )
    save_file({"uv.weight": drawn(4, 4, 2, 2)}, tmp_path / "w.safetensors")
    mapping = rules(tmp_path, "  uv.weight: {split: [u.weight, v.weight]}\n")
    with pytest.raises(
        CheckpointError, match="not split: `uv.weight`, since `u.weight` has groups"
    ):
        weights.load(tmp_path / "w.safetensors", spec_of(text, "[4, 3, 5]"), mapping=mapping)


# Caffe

NORM = "  - {name: bn, batch_norm: {affine: false}}\n"
BN = "  bn:0: bn.running_mean\n  bn:1: bn.running_var\n"


@pytest.mark.parametrize(("factor", "scale"), [(999.982, 1.0), (1.0, 1.0), (0.0, 0.0)])
def test_caffes_batch_norm_is_divided_by_its_factor(
    tmp_path: Path, factor: float, scale: float
) -> None:
    mean, var = np.array([0.5, -1, 2]), np.array([1.5, 0.5, 2])
    blobs = [(factor or 3.0) * mean, (factor or 3.0) * var, np.array([factor])]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(net({"bn": blobs}, types={"bn": "BatchNorm"}))
    found = weights.load(path, spec_of(NORM), mapping=rules(tmp_path, BN))
    assert np.allclose(found["bn.running_mean"], scale * mean)
    assert np.allclose(found["bn.running_var"], scale * var)


def test_a_batch_norm_of_another_caffe_needs_a_word(tmp_path: Path) -> None:
    blobs = [np.array([2.0, 4, 6]), np.array([2.0, 2, 2]), np.array([1.0]), np.ones(3), np.ones(3)]
    path = tmp_path / "net.caffemodel"
    path.write_bytes(net({"bn": blobs}, types={"bn": "BatchNorm"}))
    (tmp_path / "map.yaml").write_text(f"rules:\n{BN}ignored: {{'bn:[234]': not here}}\n")
    with pytest.raises(CheckpointError, match="what a layer `BatchNorm` does with `bn:0`"):
        weights.load(path, spec_of(NORM), mapping=str(tmp_path / "map.yaml"))
    worded = "  bn:0: {to: bn.running_mean, divide_by: 2}\n"
    worded += "  bn:1: {to: bn.running_var, divide_by: bn:2}\n"
    (tmp_path / "map.yaml").write_text(f"rules:\n{worded}ignored: {{'bn:[34]': not here}}\n")
    found = weights.load(path, spec_of(NORM), mapping=str(tmp_path / "map.yaml"))
    assert found["bn.running_mean"].tolist() == [1, 2, 3]
    assert found["bn.running_var"].tolist() == [2, 2, 2]


@pytest.mark.parametrize("factor", [0.0, np.nan, np.inf])
def test_a_tensor_that_divides_is_a_finite_number_other_than_0(
    tmp_path: Path, factor: float
) -> None:
    tensors = {"mean": np.ones(3), "var": np.ones(3), "factor": np.array([factor])}
    save_file(tensors, tmp_path / "w.safetensors")
    lines = [f"  {n}: {{to: bn.running_{n}, divide_by: factor}}\n" for n in ("mean", "var")]
    with pytest.raises(CheckpointError, match="no divisor: `factor` is (0|nan|inf), expected"):
        weights.load(
            tmp_path / "w.safetensors", spec_of(NORM), mapping=rules(tmp_path, "".join(lines))
        )
