"""What each op is built by: torch's own layer wherever it means the same, spelt as briefly as a person would."""

from __future__ import annotations

import re

import pytest

from archspec.codegen.lowering import Merge, Module
from archspec.ir.types import Shape
from archspec.ops import OPS
from archspec_torch import BACKEND
from archspec_torch.lowerings import FAMILIES, LOWERED, lower
from archspec_torch.source import helper_sources
from tests.helpers.ops import build

IMAGE = (8, 12, 12)

CASES: list[tuple[str, dict[str, object], Shape, str]] = [
    ("conv", {"out": 4, "kernel": 3}, IMAGE, "nn.Conv2d(in_channels=8, out_channels=4, kernel_size=3)"),
    ("conv", {"out": 4, "kernel": "1x3"}, IMAGE, "nn.Conv2d(in_channels=8, out_channels=4, kernel_size=(1, 3))"),
    (
        "conv",
        {"out": 4, "kernel": 3, "stride": 2, "padding": "same"},
        IMAGE,
        "PaddedConv2d(in_channels=8, out_channels=4, kernel_size=3, stride=2, sides=(0, 1, 0, 1))",
    ),
    (
        "conv",
        {"out": 4, "kernel": 3, "padding": "same"},
        (8, 12),
        "nn.Conv1d(in_channels=8, out_channels=4, kernel_size=3, padding=1)",
    ),
    (
        "conv_transpose",
        {"out": 4, "kernel": 2, "stride": 2, "padding": [[0, 1], [0, 1]]},
        IMAGE,
        "CroppedConvTranspose2d(in_channels=8, out_channels=4, kernel_size=2, stride=2, sides=(0, 1, 0, 1))",
    ),
    ("max_pool", {"kernel": 2}, IMAGE, "nn.MaxPool2d(kernel_size=2)"),
    ("max_pool", {"kernel": 3, "stride": 2, "rounding": "ceil"}, IMAGE, "nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)"),
    ("max_pool", {"kernel": 3, "stride": 1, "padding": [[0, 2], [0, 2]]}, IMAGE, "PaddedMaxPool2d(kernel_size=3, stride=1, sides=(0, 2, 0, 2))"),
    ("avg_pool", {"kernel": 2}, IMAGE, "nn.AvgPool2d(kernel_size=2)"),
    ("avg_pool", {"kernel": 3, "padding": 1}, IMAGE, "nn.AvgPool2d(kernel_size=3, padding=1, count_include_pad=False)"),
    ("avg_pool", {"kernel": 3, "padding": 1, "count_include_pad": True}, IMAGE, "nn.AvgPool2d(kernel_size=3, padding=1)"),
    (
        "avg_pool",
        {"kernel": 2, "stride": 1, "padding": "same"},
        (8, 12, 12, 12),
        "PaddedAvgPool3d(kernel_size=2, stride=1, sides=(0, 1, 0, 1, 0, 1), overhang=(0, 0, 0, 0, 0, 0), count_include_pad=False)",
    ),
    ("global_avg_pool", {}, IMAGE, "nn.AdaptiveAvgPool2d(output_size=1)"),
    ("batch_norm", {}, (8,), "nn.BatchNorm1d(num_features=8)"),
    ("batch_norm", {"eps": 0.001}, IMAGE, "nn.BatchNorm2d(num_features=8, eps=0.001)"),
    ("layer_norm", {}, IMAGE, "nn.LayerNorm(normalized_shape=(8, 12, 12))"),
    ("layer_norm", {"axes": "channels"}, IMAGE, "ChannelNorm(normalized_shape=8)"),
    ("instance_norm", {"affine": True}, IMAGE, "nn.InstanceNorm2d(num_features=8, affine=True)"),
    ("gelu", {"approximate": "tanh"}, IMAGE, "nn.GELU(approximate='tanh')"),
    ("channel_shuffle", {"groups": 2}, IMAGE, "nn.ChannelShuffle(groups=2)"),
    ("channel_shuffle", {"groups": 2}, (8,), "ShuffleFeatures(groups=2)"),
    ("reshape", {"to": [4, -1]}, (8,), "nn.Unflatten(dim=1, shape=(4, 2))"),
    ("reshape", {"to": [4, -1]}, IMAGE, "Reshape(shape=(4, 288))"),
    ("pad", {"padding": 1}, IMAGE, "nn.ZeroPad2d(padding=1)"),
    ("pad", {"padding": [[1, 2]], "mode": "reflect"}, (8, 12), "nn.ReflectionPad1d(padding=(1, 2))"),
    ("crop", {"size": 9}, IMAGE, "Crop(sides=(1, 2, 1, 2))"),
    (
        "resize",
        {"scale": 2, "mode": "nearest", "coordinates": "asymmetric"},
        IMAGE,
        "nn.Upsample(scale_factor=2, mode='nearest')",
    ),
    # 7/12 is no binary fraction: torch rounds it, and may take a neighbour.
    ("resize", {"size": 7, "mode": "nearest", "coordinates": "half_pixel"}, IMAGE, "NearestResize(size=(7, 7), half_pixel=True)"),
    (
        "resize",
        {"size": 7, "mode": "linear", "coordinates": "align_corners"},
        IMAGE,
        "nn.Upsample(size=7, mode='bilinear', align_corners=True)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "shape", "expected"), CASES)
def test_a_layer_is_spelt_as_torch_spells_it(
    kind: str, fields: dict[str, object], shape: Shape, expected: str
) -> None:
    module = lower(build(kind, **fields), shape)
    assert isinstance(module, Module)
    assert module.show() == expected


def test_every_op_is_lowered_in_the_file_of_its_family() -> None:
    assert {kind for kind in OPS if kind not in LOWERED} == set(BACKEND.gaps) == set()
    assert set(LOWERED) == set(BACKEND.lowered) == set(OPS)
    for family in FAMILIES:
        assert {OPS[kind].family for kind in family.LOWERED} == {family.__name__.rpartition(".")[2]}


def test_merges_are_written_into_forward() -> None:
    merges = {kind: lower(OPS[kind](), IMAGE, IMAGE) for kind in ("concat", "add", "multiply")}
    assert merges == {"concat": Merge("cat"), "add": Merge("+"), "multiply": Merge("*")}


def test_every_helper_is_a_class_that_some_op_needs() -> None:
    lowered = (lower(build(kind, **fields), shape) for kind, fields, shape, _ in CASES)
    targets = {
        re.sub("[13]d$", "2d", module.target) for module in lowered if isinstance(module, Module)
    }
    helpers = {name for name in helper_sources() if not name.endswith(("1d", "3d"))}
    assert {name for name in targets if not name.startswith("nn.")} | {
        "LocalResponseNorm"
    } == helpers
