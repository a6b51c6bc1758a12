"""Counts, held against hand arithmetic, measured networks and torch's own counter."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import archspec
from archspec.analysis.stats import Stats, stats
from archspec.ir.graph import Graph, Head, Node, Scope
from tests.helpers.graphs import SPAN, Builder
from tests.helpers.ops import build
from tests.helpers.twin import Twin


@pytest.fixture(scope="module")
def googlenet() -> Stats:
    return stats(archspec.load("googlenet"))


def branching() -> Graph:
    """Two convolutions beside one, a pool and an unused layer; a classifier with batch norm before it."""
    b = Builder(3, 9, 9)
    stem = b.add("stem", "conv", out=8, kernel=3)  # 8x7x7
    b.add("unused", "conv", stem, out=99, kernel=1)
    left = b.add(
        "left", "conv", b.add("reduce", "conv", stem, out=2, kernel=1), out=4, kernel=3, padding=1
    )
    right = b.add("right", "conv", stem, out=4, kernel=3, padding=1, groups=4, bias=False)
    b.add("merge", "concat", left, right)
    b.add("norm", "batch_norm")
    b.add("pool", "max_pool", kernel=2, stride=2, rounding="ceil")  # 8x4x4
    b.add("flatten", "flatten")
    b.add("fc", "linear", out=10)
    return b.graph()


def test_hand_arithmetic() -> None:
    found = stats(branching())
    params = {
        "stem": 3 * 8 * 9 + 8,
        "reduce": 8 * 2 + 2,
        "left": 2 * 4 * 9 + 4,
        "right": 2 * 4 * 9,  # 8 channels in 4 groups
        "norm": 2 * 8,
        "fc": 8 * 4 * 4 * 10 + 10,
    }
    macs = {
        "stem": 3 * 8 * 9 * 49,
        "reduce": 16 * 49,
        "left": 72 * 49,
        "right": 72 * 49,
        "fc": 1280,
    }
    assert {layer.path: layer.params for layer in found.layers if layer.params} == params
    assert {layer.path: layer.macs for layer in found.layers if layer.macs} == macs
    assert (found.params, found.macs, found.flops) == (
        sum(params.values()),
        sum(macs.values()),
        2 * sum(macs.values()),
    )
    assert found.running_stats == 2 * 8
    assert (found.depth, found.depth_with_pools) == (4, 5)  # stem, reduce, left, fc; and the pool
    assert [layer.path for layer in found.layers] == [
        "stem", "reduce", "left", "right", "merge", "norm", "pool", "flatten", "fc",
    ]  # fmt: skip


def test_torch_counts_the_same() -> None:
    graph = branching()
    model = Twin(graph).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *graph.input))
    found = stats(graph)
    assert found.flops == counter.get_total_flops()
    assert found.params == sum(p.numel() for p in model.parameters())
    buffers = [
        tensor.numel() for name, tensor in model.named_buffers() if "num_batches" not in name
    ]
    assert found.running_stats == sum(buffers)


@pytest.mark.parametrize(
    ("kind", "fields", "shape"),
    [
        (
            "conv",
            {"out": 6, "kernel": [3, 5], "stride": [2, 1], "dilation": [1, 2], "groups": 2},
            (4, 13, 17),
        ),
        ("conv", {"out": 6, "kernel": 3, "bias": False}, (4, 20)),
        ("conv", {"out": 6, "kernel": 2, "stride": 2}, (4, 6, 6, 6)),
        ("conv_transpose", {"out": 6, "kernel": 3, "stride": 2, "groups": 2}, (4, 5, 7)),
        ("linear", {"out": 7}, (12,)),
    ],
)
def test_every_counted_layer_agrees_with_torch(
    kind: str, fields: dict[str, Any], shape: tuple[int, ...]
) -> None:
    b = Builder(*shape)
    b.add("layer", kind, **fields)
    model = Twin(b.graph())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *shape))
    found = stats(b.graph())
    assert (found.flops, found.params) == (
        counter.get_total_flops(),
        sum(p.numel() for p in model.parameters()),
    )


def test_train_only_heads_count_apart() -> None:
    b = Builder(8)
    trunk = b.add("trunk", "linear", out=4, scope=Scope("row", "block", SPAN, b.root))
    aux = Scope("aux", "head", SPAN, b.root, "auxiliary")
    shared = b.add("shared", "linear", trunk, out=3, scope=aux)
    first = b.add("first", "linear", shared, out=2, bias=False, scope=aux)
    second = b.add("second", "linear", shared, out=5, bias=False)
    main = b.add("main", "linear", trunk, out=10, bias=False)
    heads = (
        Head("main", main),
        Head("aux", first, train_only=True),
        Head("aux2", second, train_only=True),
    )
    graph = b.graph(*heads)
    found = stats(graph)
    assert (found.params, found.macs) == (8 * 4 + 4 + 4 * 10, 32 + 40)
    assert (found.params_with_aux, found.macs_with_aux) == (76 + 15 + 6 + 15, 72 + 12 + 6 + 15)
    assert found.depth == 2
    assert [layer.path for layer in found.layers] == ["row.trunk", "main"]
    assert [(h.name, h.on, h.params, h.macs, h.output) for h in found.heads] == [
        ("main", "", 76, 72, (10,)),
        ("aux", "row", 21, 18, (2,)),  # with the layer that both share
        ("aux2", "aux", 15, 15, (5,)),
    ]
    with_heads = stats(graph, train=True)
    assert [(layer.path, layer.head) for layer in with_heads.layers] == [
        ("row.trunk", ""), ("aux.shared", "aux"), ("aux.first", "aux"), ("second", "aux2"), ("main", ""),
    ]  # fmt: skip
    assert with_heads.params == found.params
    assert sum(layer.params for layer in with_heads.layers) == found.params_with_aux


def test_a_head_hangs_on_the_last_step_that_it_reads() -> None:
    b = Builder(8)
    first = b.add("first", "relu")
    second = b.add("second", "relu")
    aux = b.add("aux", "add", first, second)
    found = stats(b.graph(Head("main", second), Head("aux", aux, train_only=True)))
    assert [(head.name, head.on) for head in found.heads] == [("main", ""), ("aux", "second")]


def test_outputs_of_the_inference_graph_all_count() -> None:
    b = Builder(8)
    trunk = b.add("trunk", "linear", out=4, bias=False)
    boxes = b.add("boxes", "linear", trunk, out=3, bias=False)
    main = b.add("main", "linear", trunk, out=2, bias=False)
    found = stats(b.graph(Head("main", main), Head("boxes", boxes)))
    assert found.params == found.params_with_aux == 32 + 12 + 8


def test_the_depth_is_that_of_the_longest_path_among_very_many() -> None:
    b = Builder(4, 8, 8)
    for i in range(300):  # 2**300 paths
        start = len(b.nodes) - 1
        left = b.add(
            f"l{i}", "conv", b.add(f"r{i}", "conv", start, out=4, kernel=1), out=4, kernel=1
        )
        b.add(f"a{i}", "add", left, b.add(f"p{i}", "max_pool", start, kernel=1))
    assert (stats(b.graph()).depth, stats(b.graph()).depth_with_pools) == (600, 600)


def test_a_pool_counts_in_one_depth_only() -> None:
    b = Builder(4, 8, 8)
    b.add("a", "max_pool", kernel=2)
    b.add("b", "avg_pool", kernel=2)
    b.add("c", "global_avg_pool")
    b.add("d", "relu")
    assert (stats(b.graph()).depth, stats(b.graph()).depth_with_pools) == (0, 3)


def test_numbers_are_exact_however_large() -> None:
    b = Builder(10**12, 10**6, 10**6)
    b.add("conv", "conv", out=10**12, kernel=1, bias=False)
    b.add("conv2", "conv", out=1, kernel=3, bias=False)
    found = stats(b.graph())
    assert found.params == 10**24 + 9 * 10**12
    assert found.macs == 10**36 + 9 * 10**12 * (10**6 - 2) ** 2


def test_twenty_thousand_layers_are_counted_at_once() -> None:
    root = Scope("deep", "network", SPAN)
    b = Builder(8, 16, 16)
    conv = [build("conv", out=8, kernel=3, padding=1) for _ in range(20_000)]
    nodes = [b.nodes[0]]
    for i, op in enumerate(conv, 1):
        nodes.append(
            Node(
                i,
                "conv",
                op,
                (i - 1,),
                (8, 16, 16),
                Scope(f"step{i}", "block", SPAN, root, "step"),
                SPAN,
            )
        )
    graph = Graph("deep", tuple(nodes), (Head("main", 20_000),), root)
    start = time.process_time()
    found = stats(graph)
    assert time.process_time() - start < 1.0  # some 0.1 s; a quadratic walk would take minutes
    assert (found.params, found.depth) == (20_000 * (8 * 8 * 9 + 8), 20_000)
    assert [(g.name, g.count, g.layers, g.depth) for g in found.by("block")] == [
        ("step", 20_000, 20_000, 1)
    ]
    assert len(found.by("row")) == 20_000
    assert found.receptive_fields[-1].size == (40_001, 40_001)


def test_rows_and_blocks() -> None:
    b = Builder(3, 8, 8)
    outer = Scope("one", "block", SPAN, b.root, "outer")
    left = Scope("left", "branch", SPAN, outer)
    for scope in (
        Scope("a", "block", SPAN, left, "inner"),
        Scope("b", "block", SPAN, left, "inner"),
    ):
        b.add("conv", "conv", out=4, kernel=3, padding=1, scope=scope)
        b.add("relu", "relu", scope=scope)
    b.add("merge", "concat", 2, 4, scope=outer)
    b.add("pool", "max_pool", kernel=2)
    b.add("conv", "conv", out=2, kernel=1, scope=Scope("two", "block", SPAN, b.root, "inner"))
    b.add("again", "relu", scope=Scope("0", "repeat", SPAN, Scope("loop", "repeat", SPAN, b.root)))
    found = stats(b.graph())
    rows = [(g.name, g.type, g.layers, g.output, g.params, g.depth) for g in found.by("row")]
    first, second, third = 3 * 4 * 9 + 4, 4 * 4 * 9 + 4, 8 * 2 + 2
    assert rows == [
        ("one", "outer", 5, (8, 8, 8), first + second, 2),
        ("pool", "max_pool", 1, (8, 4, 4), 0, 0),
        ("two", "inner", 1, (2, 4, 4), third, 1),
        ("loop", "repeat", 1, (2, 4, 4), 0, 0),
    ]
    blocks = {g.name: (g.count, g.layers, g.params, g.depth) for g in found.by("block")}
    assert blocks == {
        "outer": (1, 5, first + second, 2),
        "inner": (3, 5, first + second + third, 1),
    }
    assert [layer.block for layer in found.layers] == ["inner"] * 4 + ["outer", "", "inner", ""]


# bvlc_googlenet, counted from its authors' train_val.prototxt: parameters with bias, multiply-adds.
CAFFE = {
    "conv1": (9472, 118013952),
    "conv2": (114944, 359661568),
    "inception_3a": (163696, 128049152),
    "inception_3b": (388736, 304267264),
    "inception_4a": (376176, 73608192),
    "inception_4b": (449160, 87908352),
    "inception_4c": (510104, 99850240),
    "inception_4d": (605376, 118515712),
    "inception_4e": (868352, 169996288),
    "inception_5a": (1043456, 51079168),
    "inception_5b": (1444080, 70697984),
    "linear": (1025000, 1024000),
}


def test_googlenet_as_measured_from_caffe(googlenet: Stats) -> None:
    assert (googlenet.params, googlenet.params_with_aux) == (6998552, 13378280)
    assert (googlenet.macs, googlenet.macs_with_aux) == (1582671872, 1591044096)
    assert {g.name: (g.params, g.macs) for g in googlenet.by("row") if g.params} == CAFFE
    aux = [
        (head.name, head.on, head.params, head.macs) for head in googlenet.heads if head.train_only
    ]
    assert aux == [
        ("aux1", "inception_4a", 3188840, 4169728),
        ("aux2", "inception_4d", 3190888, 4202496),
    ]


def test_googlenet_is_as_deep_as_its_paper_says(googlenet: Stats) -> None:
    """Section 5: 22 layers deep when counting only layers with parameters, or 27 with pooling."""
    assert (googlenet.depth, googlenet.depth_with_pools) == (22, 27)
    depths = {g.name: g.depth for g in googlenet.by("row")}
    assert (depths["conv1"], depths["conv2"], depths["inception_3a"], depths["pool1"]) == (
        1,
        2,
        2,
        0,
    )


@pytest.mark.parametrize(
    ("spec", "params", "with_aux", "macs"),
    [
        ("googlenet-torchvision", 6624904, 13004888, 1498376192),  # torchvision 0.28's own class
        ("lenet5", 61706, 61706, 416520),  # C1 156, C3 2416, C5 48120, F6 10164, output 850
    ],
)
def test_other_networks(spec: str, params: int, with_aux: int, macs: int) -> None:
    found = stats(archspec.load(spec))
    assert (found.params, found.params_with_aux, found.macs) == (params, with_aux, macs)


def test_batch_norm_in_place_of_biases() -> None:
    """Of the faithful network: less 7,280 biases, with a scale and a shift for each of 7,280 channels."""
    found = stats(archspec.load("googlenet-bn"))
    assert (found.params, found.running_stats) == (6998552 - 7280 + 14560, 14560)


def test_a_reduction_in_front_of_a_5x5_convolution() -> None:
    """5x5 on 14x14x480 to 48 channels: 112.9 million multiply-adds; through 16 channels, 5.3 million."""
    wide, reduced = (stats(archspec.load(name)).macs for name in ("conv5x5", "conv5x5-reduced"))
    assert (wide, reduced) == (14 * 14 * 480 * 48 * 25, 14 * 14 * (480 * 16 + 16 * 48 * 25))


def test_the_source_of_a_graph_does_not_matter() -> None:
    graph = branching()

    class Holder:
        def __init__(self, graph: Graph) -> None:
            self.graph = graph

    assert stats(Holder(graph)) == stats(graph)
