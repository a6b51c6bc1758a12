"""What each op is built by: Keras's own layer wherever it means the same, spelt as briefly as a person would."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import archspec
from archspec.codegen.lowering import Merge, Module
from archspec.ir.graph import Graph, Head, Input, Node, Scope
from archspec.ir.types import Shape
from archspec.ops import OPS
from archspec_keras.lowerings import FAMILIES, lower
from archspec_keras.source import helper_sources, source
from tests.helpers.graphs import SPAN
from tests.helpers.ops import assert_same, batch, build, evaluate, parameters
from tests.unit.keras.sessions import ABOUT

IMAGE = (8, 12, 12)

CASES: list[tuple[str, dict[str, Any], Shape, list[str]]] = [
    ("conv", {"out": 4, "kernel": 3}, IMAGE, ["layers.Conv2D(filters=4, kernel_size=3)"]),
    ("conv", {"out": 4, "kernel": 3, "padding": 1}, IMAGE, ["layers.Conv2D(filters=4, kernel_size=3, padding='same')"]),
    ("conv", {"out": 4, "kernel": 1, "padding": "symmetric"}, IMAGE, ["layers.Conv2D(filters=4, kernel_size=1, padding='same')"]),
    ("conv", {"out": 4, "kernel": 3, "stride": 2, "padding": "same"}, IMAGE, ["layers.Conv2D(filters=4, kernel_size=3, strides=2, padding='same')"]),
    # PyTorch's symmetric padding at stride 2 is not TensorFlow's "same".
    ("conv", {"out": 4, "kernel": 3, "stride": 2, "padding": 1}, IMAGE, ["layers.ZeroPadding2D(padding=1)", "layers.Conv2D(filters=4, kernel_size=3, strides=2)"]),
    ("conv", {"out": 4, "kernel": 3, "padding": [[0, 1], [0, 1]]}, IMAGE, ["layers.ZeroPadding2D(padding=((0, 1), (0, 1)))", "layers.Conv2D(filters=4, kernel_size=3)"]),
    ("conv", {"out": 16, "kernel": 3, "groups": 8}, IMAGE, ["layers.DepthwiseConv2D(kernel_size=3, depth_multiplier=2)"]),
    ("conv", {"out": 8, "kernel": 3, "groups": 8, "stride": "1x2"}, IMAGE, ["layers.Conv2D(filters=8, kernel_size=3, strides=(1, 2), groups=8)"]),
    ("conv", {"out": 4, "kernel": 3, "stride": 2, "dilation": 2}, IMAGE, ["SpreadConv2D(filters=4, kernel_size=3, strides=2, dilation_rate=2)"]),
    ("conv_transpose", {"out": 4, "kernel": 2, "stride": 2}, IMAGE, ["layers.Conv2DTranspose(filters=4, kernel_size=2, strides=2)"]),
    ("conv_transpose", {"out": 4, "kernel": 4, "stride": 2, "padding": 1}, IMAGE, ["layers.Conv2DTranspose(filters=4, kernel_size=4, strides=2, padding='same')"]),
    ("conv_transpose", {"out": 4, "kernel": 3, "padding": 1}, IMAGE, ["layers.Conv2DTranspose(filters=4, kernel_size=3, padding='same')"]),
    ("conv_transpose", {"out": 4, "kernel": 3, "stride": 2, "padding": 1}, IMAGE, ["CroppedConv2DTranspose(filters=4, kernel_size=3, strides=2, sides=((1, 1), (1, 1)))"]),
    ("conv_transpose", {"out": 4, "kernel": 3, "stride": 2, "padding": "same"}, IMAGE, ["layers.Conv2DTranspose(filters=4, kernel_size=3, strides=2, padding='same')"]),
    ("conv_transpose", {"out": 4, "kernel": 1, "stride": 2, "padding": "same"}, IMAGE, ["layers.Conv2DTranspose(filters=4, kernel_size=1, strides=2, padding='same')"]),
    ("conv_transpose", {"out": 4, "kernel": 3, "stride": 2, "padding": "same_lower"}, IMAGE, ["CroppedConv2DTranspose(filters=4, kernel_size=3, strides=2, sides=((1, 0), (1, 0)))"]),
    ("linear", {"out": 4, "bias": False}, (8,), ["layers.Dense(units=4, use_bias=False)"]),
    # Caffe's 112 -> 56 is what TensorFlow calls "same".
    ("max_pool", {"kernel": 3, "stride": 2, "rounding": "ceil"}, (64, 112, 112), ["layers.MaxPooling2D(pool_size=3, strides=2, padding='same')"]),
    ("max_pool", {"kernel": 3, "stride": 2, "padding": 1}, IMAGE, ["PaddedMaxPooling2D(pool_size=3, strides=2, sides=((1, 0), (1, 0)))"]),
    ("max_pool", {"kernel": 2, "stride": 1, "dilation": 3}, IMAGE, ["SlidingMax(pool_size=2, strides=1, sides=((0, 0), (0, 0)), dilation_rate=3)"]),
    ("avg_pool", {"kernel": 3, "stride": 1, "padding": 1}, IMAGE, ["layers.AveragePooling2D(pool_size=3, strides=1, padding='same')"]),
    ("avg_pool", {"kernel": 3, "stride": 1, "padding": 1, "count_include_pad": True}, IMAGE, ["layers.ZeroPadding2D(padding=1)", "layers.AveragePooling2D(pool_size=3, strides=1)"]),
    ("avg_pool", {"kernel": 3, "stride": 2, "padding": 1}, IMAGE, ["SlidingMean(pool_size=3, strides=2, sides=((1, 0), (1, 0)), counted=((0, 0), (0, 0)))"]),
    ("global_avg_pool", {}, IMAGE, ["layers.GlobalAveragePooling2D(keepdims=True)"]),
    ("adaptive_avg_pool", {"size": 4}, IMAGE, ["layers.AveragePooling2D(pool_size=3)"]),
    ("adaptive_max_pool", {"size": 5}, IMAGE, ["AdaptivePooling(size=(5, 5), how='max')"]),
    ("batch_norm", {}, IMAGE, ["BatchNormalization(momentum=0.9, epsilon=1e-05)"]),
    ("layer_norm", {}, IMAGE, ["layers.LayerNormalization(axis=(1, 2, 3), epsilon=1e-05)"]),
    ("conv", {"out": 1, "kernel": 3}, IMAGE, ["SingleConv2D(filters=1, kernel_size=3)"]),
    ("instance_norm", {}, IMAGE, ["GroupNormalization(groups=-1, epsilon=1e-05, center=False, scale=False)"]),
    ("lrn", {"size": 5}, IMAGE, ["LocalResponseNormalization(size=5)"]),
    ("leaky_relu", {}, IMAGE, ["LeakyReLU(negative_slope=0.01)"]),
    ("gelu", {}, IMAGE, ["Gelu()"]),
    ("hard_sigmoid", {}, IMAGE, ["HardSigmoid()"]),
    ("hard_swish", {}, IMAGE, ["HardSwish()"]),
    ("silu", {}, IMAGE, ["layers.Activation(activation='silu')"]),
    ("prelu", {}, IMAGE, ["layers.PReLU(shared_axes=(1, 2))"]),
    ("flatten", {}, IMAGE, ["layers.Permute(dims=(3, 1, 2))", "layers.Flatten()"]),
    ("flatten", {}, (8, 1, 1), ["layers.Flatten()"]),
    ("flatten", {}, (1, 9, 9), ["layers.Flatten()"]),
    ("channel_shuffle", {"groups": 2}, IMAGE, ["ChannelShuffle(groups=2)"]),
    ("pad", {"padding": 1}, IMAGE, ["layers.ZeroPadding2D(padding=1)"]),
    ("pad", {"padding": [[1, 2]], "mode": "reflect"}, (8, 12), ["Border(sides=((1, 2),), mode='reflect')"]),
    ("crop", {"size": 9}, IMAGE, ["layers.Cropping2D(cropping=((1, 2), (1, 2)))"]),
    ("resize", {"scale": 2, "mode": "nearest", "coordinates": "half_pixel"}, IMAGE, ["layers.UpSampling2D(size=2)"]),
    ("resize", {"size": 7, "mode": "nearest", "coordinates": "half_pixel"}, IMAGE, ["NearestResize(size=(7, 7), half_pixel=True)"]),
    ("resize", {"size": 7, "mode": "linear", "coordinates": "align_corners"}, IMAGE, ["LinearResize(size=(7, 7), align_corners=True)"]),
]  # fmt: skip


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(
    ("kernel", "stride"), [(1, 2), (2, 3), (3, 1), (3, 2), (4, 2), (5, 2), (7, 3)]
)
def test_same_of_a_transposed_convolution_is_what_keras_computes(
    rank: int, kernel: int, stride: int
) -> None:
    options = {"strides": stride, "padding": "same", "dtype": "float64"}
    layer: Any = getattr(keras.layers, f"Conv{rank}DTranspose")(2, kernel, **options)
    op = build("conv_transpose", out=2, kernel=kernel, stride=stride, padding="same")
    shape = (3, *range(4, 4 + rank))
    params = parameters(op, shape)
    x = batch(2, *shape)
    layer.build((None, *shape[1:], 3))
    kernels = np.moveaxis(params["weight"], (1, 0), (-2, -1))  # Keras's has [*kernel, out, in]
    layer.set_weights([kernels, params["bias"]])
    y: Any = keras.ops.convert_to_numpy(layer(np.moveaxis(x, 1, -1)))
    assert_same(evaluate(op, x, params=params), np.moveaxis(y, -1, 1))


@pytest.mark.parametrize(("kind", "fields", "shape", "expected"), CASES)
def test_a_layer_is_spelt_as_keras_spells_it(
    kind: str, fields: dict[str, Any], shape: Shape, expected: list[str]
) -> None:
    module = lower(build(kind, **fields), shape)
    assert isinstance(module, Module)
    assert [step.show() for step in module.layers] == expected


def test_every_op_is_lowered_in_the_file_of_its_family() -> None:
    for family in FAMILIES:
        assert {OPS[kind].family for kind in family.LOWERED} == {family.__name__.rpartition(".")[2]}


def test_a_sum_that_spreads_has_a_layer_of_its_own() -> None:
    found = [lower(OPS["add"](), IMAGE, other) for other in (IMAGE, (8, 1, 1))]
    assert [
        merge.module.target for merge in found if isinstance(merge, Merge) and merge.module
    ] == [
        "layers.Add",
        "Sum",
    ]


def test_every_helper_is_a_class_that_some_op_needs() -> None:
    lowered = [lower(build(kind, **fields), shape) for kind, fields, shape, _ in CASES]
    targets = {
        re.sub("[13]D", "2D", module.target) for module in lowered if isinstance(module, Module)
    }
    helpers = {re.sub("[13]D", "2D", name) for name in helper_sources()}
    assert {name for name in targets if not name.startswith("layers.")} | {"Sum"} == helpers


def test_a_type_checker_and_a_linter_find_nothing(tmp_path: Path) -> None:
    root = Scope("net", "network", SPAN)
    for number, (kind, fields, shape, expected) in enumerate(CASES):
        if not expected[-1].startswith("layers."):
            op = build(kind, **fields)
            nodes = (
                Node(0, "input", Input(), (), shape, root, SPAN),
                Node(1, kind, op, (0,), op.shape(shape), root, SPAN),
            )
            (tmp_path / f"helper_{number}.py").write_text(
                source(Graph("net", nodes, (Head("main", 1),), root), ABOUT)
            )
    for name in ("googlenet", "googlenet-torchvision", "lenet5"):
        (tmp_path / f"{name.replace('-', '_')}.py").write_text(
            source(archspec.load(name).graph, ABOUT)
        )
    config = {"include": ["."], "typeCheckingMode": "standard", "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "pyright",
        "--pythonpath",
        sys.executable,
        "--outputjson",
        "-p",
        str(tmp_path),
    ]
    report = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == len(list(tmp_path.glob("*.py")))
    options = ["--isolated", "--line-length", "100", "--no-cache", str(tmp_path)]
    for command in (["check", "--select", "E,F,I,B,UP,W"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *options], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
