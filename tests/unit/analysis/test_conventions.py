"""Other tools' figures: as they were measured, and, where the tools are installed, as they count small networks now."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

import archspec
from archspec.analysis.conventions import CONVENTIONS, tool_figures
from archspec.analysis.stats import stats
from archspec.cli.stats import TOOLS
from archspec.ir.graph import Graph, Head
from tests.helpers import torchvision_cpu
from tests.helpers.graphs import Builder
from tests.helpers.twin import Twin


def classic() -> Graph:
    """Biases, local response norm, groups, pools of every kind, linear layers, softmax."""
    b = Builder(3, 33, 33)
    b.add("conv", "conv", out=8, kernel=5, stride=2)
    b.add("relu", "relu")
    b.add("norm", "lrn", size=5)
    b.add("pool", "max_pool", kernel=3, stride=2, rounding="ceil")
    b.add("grouped", "conv", out=8, kernel=3, padding=1, groups=2)
    b.add("mean", "avg_pool", kernel=2)
    b.add("flatten", "flatten")
    b.add("fc", "linear", out=16)
    b.add("drop", "dropout", rate=0.5)
    b.add("relu2", "relu")
    b.add("logits", "linear", out=10, bias=False)
    b.add("softmax", "softmax")
    return b.graph()


def residual() -> Graph:
    """Batch norm with and without a scale, an addition, the global average."""
    b = Builder(4, 14, 14)
    start = b.add("conv", "conv", out=8, kernel=3, padding=1, bias=False)
    b.add("bn", "batch_norm")
    b.add("relu", "relu6")
    b.add("depthwise", "conv", out=8, kernel=3, padding=1, groups=8, bias=False)
    end = b.add("plain", "batch_norm", affine=False)
    both = b.add("sum", "add", start, end)
    squeeze = b.add("squeeze", "global_avg_pool", both)
    b.add("gate", "multiply", both, b.add("excite", "conv", squeeze, out=8, kernel=1))
    b.add("pool", "adaptive_avg_pool", size=2)
    b.add("flatten", "flatten")
    b.add("fc", "linear", out=5)
    return b.graph()


def norms() -> Graph:
    """The other norms and activations."""
    b = Builder(4, 10, 10)
    b.add("conv", "conv", out=6, kernel=3)
    b.add("group", "group_norm", groups=3)
    b.add("silu", "silu")
    b.add("group2", "group_norm", groups=2, affine=False)
    b.add("gelu", "gelu")
    b.add("layer", "layer_norm")
    b.add("elu", "elu")
    b.add("instance", "instance_norm", affine=True)
    b.add("prelu", "prelu")
    b.add("instance2", "instance_norm")
    b.add("shared", "prelu", shared=True)
    b.add("sigmoid", "sigmoid")
    return b.graph()


def upsampling() -> Graph:
    """Transposed convolutions and resizing, joined with what they came from."""
    b = Builder(3, 8, 8)
    start = b.add("conv", "conv", out=4, kernel=3, padding=1)
    b.add("pool", "max_pool", kernel=2)
    b.add("up", "conv_transpose", out=4, kernel=2, stride=2, groups=2)
    b.add("join", "concat", start, len(b.nodes) - 1)
    b.add("nearest", "resize", scale=2, mode="nearest", coordinates="asymmetric")
    b.add("centred", "resize", scale=2, mode="nearest", coordinates="half_pixel")
    b.add("linear", "resize", scale=2, mode="linear", coordinates="half_pixel")
    b.add("out", "conv_transpose", out=2, kernel=3, bias=False)
    return b.graph()


def sequence() -> Graph:
    """One axis in place of two."""
    b = Builder(4, 40)
    b.add("conv", "conv", out=6, kernel=5, dilation=2)
    b.add("bn", "batch_norm")
    b.add("max", "max_pool", kernel=2)
    b.add("bins", "adaptive_avg_pool", size=3)
    b.add("mean", "global_max_pool")
    return b.graph()


def volume() -> Graph:
    """Three axes."""
    b = Builder(2, 6, 6, 6)
    b.add("conv", "conv", out=4, kernel=3)
    b.add("bn", "batch_norm")
    b.add("mean", "avg_pool", kernel=2)
    b.add("global", "global_avg_pool")
    return b.graph()


def measure_torch(model: Twin) -> tuple[int | None, int | None]:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *model.graph.input))
    return None, counter.get_total_flops()


def measure_fvcore(model: Twin) -> tuple[int | None, int | None]:
    fvcore: Any = pytest.importorskip("fvcore.nn")
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    counted = fvcore.FlopCountAnalysis(model, torch.zeros(1, *model.graph.input))
    return fvcore.parameter_count(model)[""], counted.total()


def measure_torchinfo(model: Twin) -> tuple[int | None, int | None]:
    torchinfo: Any = pytest.importorskip("torchinfo")
    found = torchinfo.summary(model, input_size=(1, *model.graph.input), verbose=0)
    return found.total_params, found.total_mult_adds


def measure_ptflops(model: Twin, backend: str = "pytorch") -> tuple[int | None, int | None]:
    torchvision_cpu.load()  # ptflops imports it
    ptflops: Any = pytest.importorskip("ptflops")
    options: dict[str, Any] = {
        "as_strings": False,
        "print_per_layer_stat": False,
        "backend": backend,
    }
    count, params = ptflops.get_model_complexity_info(model, tuple(model.graph.input), **options)
    return params, count


def measure_ptflops_aten(model: Twin) -> tuple[int | None, int | None]:
    return measure_ptflops(model, "aten")


@pytest.mark.filterwarnings("ignore")  # the tools' own
@pytest.mark.parametrize("network", [classic, residual, norms, upsampling, sequence, volume])
@pytest.mark.parametrize(
    "measure",
    [measure_torch, measure_fvcore, measure_torchinfo, measure_ptflops, measure_ptflops_aten],
)
def test_a_tool_counts_as_its_convention_says(
    measure: Callable[[Twin], tuple[int | None, int | None]], network: Callable[[], Graph]
) -> None:
    graph = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        params, count = measure(Twin(graph).eval())
    found = tool_figures(graph, measure.__name__.removeprefix("measure_").replace("_", "-"))
    assert (found.params, found.count) == (params, count)


@pytest.mark.parametrize(
    ("tool", "params", "count"),
    [
        # measured on torchvision 0.28's GoogLeNet with fvcore 0.1.5, torchinfo 1.8.0, ptflops 0.7.5, torch 2.13
        ("torch", None, 2996752384),
        ("fvcore", 13004888, 1504878688),
        ("torchinfo", 13004888, 1498391752),
        ("ptflops", 13004888, 1513907448),
        ("ptflops-aten", 13004888, 1498377192),
        # Keras adds the moving mean and variance of 7,280 channels and prints no operations
        ("keras", 6624904 + 2 * 7280, None),
        # without the classifier's 1,000 biases and batch norm's scale and shift
        ("paper", 6624904 - 1000 - 2 * 7280, 1498376192),
    ],
)
def test_torchvisions_googlenet(tool: str, params: int | None, count: int | None) -> None:
    found = tool_figures(archspec.load("googlenet-torchvision"), tool)
    assert (found.params, found.count) == (params, count)


def test_keras_counts_moving_statistics() -> None:
    keras: Any = pytest.importorskip("keras")
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    b = Builder(3, 8, 8)
    b.add("conv", "conv", out=4, kernel=3)
    b.add("bn", "batch_norm")
    b.add("drop", "dropout", rate=0.5)
    b.add("flatten", "flatten")
    b.add("fc", "linear", out=5)
    assert tool_figures(b.graph(), "keras").params == model.count_params()


@pytest.mark.parametrize("tool", sorted(CONVENTIONS))
@pytest.mark.parametrize("network", [classic, residual, norms, upsampling])
def test_the_differences_account_for_the_whole_gap(tool: str, network: Callable[[], Graph]) -> None:
    graph, found = network(), tool_figures(network(), tool)
    whole = stats(graph)
    if found.count is not None:
        assert whole.macs + sum(gap.amount for gap in found.count_differs) == found.count
    if found.params is not None:
        assert whole.params + sum(gap.amount for gap in found.params_differ) == found.params
    assert all(gap.why and gap.amount for gap in (*found.count_differs, *found.params_differ))


def test_heads_of_training_are_part_of_the_model() -> None:
    b = Builder(8)
    main = b.add("main", "linear", out=4)
    aux = b.add("aux", "linear", 0, out=3)
    graph = b.graph(Head("main", main), Head("aux", aux, train_only=True))
    assert [tool_figures(graph, tool).params for tool in ("torchinfo", "keras", "paper")] == [
        36 + 27,
        36,
        32,
    ]
    assert tool_figures(graph, "torchinfo").count == 36


def test_the_command_line_knows_every_convention() -> None:
    assert sorted(TOOLS) == sorted(CONVENTIONS)
