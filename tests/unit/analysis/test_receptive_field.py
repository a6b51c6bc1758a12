"""Receptive fields, held against published figures and against what the reference's outputs really depend on."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archspec
from archspec.analysis.receptive_field import receptive_fields
from archspec.ir.graph import Graph
from archspec.ir.op import EvalContext
from tests.helpers.graphs import Builder


def touched(graph: Graph) -> np.ndarray:
    """[out, in]: which positions of a 1-D input each output depends on; weights are 1, so that nothing cancels."""
    values = [np.eye(graph.input[1])[:, None]]
    for node in graph.nodes[1:]:
        params = {param.role: np.ones(param.shape) for param in graph.params(node)}
        values.append(node.op.reference([values[i] for i in node.inputs], params, EvalContext()))
    return values[-1].sum(axis=1).T != 0


layers = st.tuples(
    st.sampled_from(["conv", "avg_pool"]),
    st.integers(1, 4),
    st.integers(1, 2),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)


def add(
    b: Builder, name: str, start: int, layer: tuple[str, int, int, tuple[int, int]], stride: int = 0
) -> int:
    kind, kernel, step, pads = layer
    pads = tuple(
        min(pad, kernel - 1) for pad in pads
    )  # a pool's window never lies in the padding alone
    fields: dict[str, Any] = {"kernel": kernel, "stride": stride or step, "padding": [list(pads)]}
    if kind == "conv":
        fields |= {"out": 1, "bias": False}
    return b.add(name, kind, start, **fields)


@given(st.lists(layers, min_size=1, max_size=4))
def test_the_field_is_what_an_output_depends_on(
    chain: list[tuple[str, int, int, tuple[int, int]]],
) -> None:
    b = Builder(1, 80)
    for i, layer in enumerate(chain):
        add(b, f"layer{i}", i, layer)
    compare(b.graph())


@given(layers, st.lists(layers, min_size=2, max_size=2), st.integers(1, 2), layers)
def test_branches_together_see_what_each_sees(
    stem: tuple[str, int, int, tuple[int, int]],
    branches: list[tuple[str, int, int, tuple[int, int]]],
    stride: int,
    last: tuple[str, int, int, tuple[int, int]],
) -> None:
    b = Builder(1, 90)
    start = add(b, "stem", 0, stem)
    ends = [add(b, f"branch{i}", start, branch, stride) for i, branch in enumerate(branches)]
    length = min(b.nodes[end].shape[1] for end in ends)
    cut = [
        b.add(f"crop{end}", "crop", end, sides=[[0, b.nodes[end].shape[1] - length]])
        for end in ends
    ]
    b.add("merge", "concat", *cut)
    add(b, "last", len(b.nodes) - 1, last)
    compare(b.graph())


def compare(graph: Graph) -> None:
    """Every output whose field lies inside the input depends on that field, from its first position to its last."""
    field, seen = receptive_fields(graph)[-1], touched(graph)
    inside = 0
    for i, row in enumerate(seen):
        first = int(field.start[0] + i * field.stride[0])
        if first >= 0 and first + field.size[0] <= len(row):
            positions = np.flatnonzero(row)
            assert (positions[0], positions[-1]) == (first, first + field.size[0] - 1)
            inside += 1
    assert inside


def test_each_axis_has_its_own() -> None:
    b = Builder(1, 40, 40)
    b.add("conv", "conv", out=1, kernel=[3, 5], stride=[1, 2], dilation=[2, 1])
    b.add("pool", "max_pool", kernel=[2, 3], stride=[2, 1])
    field = receptive_fields(b.graph())[-1]
    assert field.size == (5 + 1, 5 + 2 * 2)
    assert field.stride == (2, 2)


def test_padding_and_cropping_move_the_field() -> None:
    b = Builder(1, 20)
    b.add("pad", "pad", padding=[[3, 0]])
    b.add("crop", "crop", sides=[[1, 0]])
    b.add("conv", "conv", out=1, kernel=3, padding=1)
    field = receptive_fields(b.graph())[-1]
    assert (field.start, field.size) == ((-3 + 1 - 1,), (3,))


def test_upsampling_divides_the_stride() -> None:
    b = Builder(1, 32, 32)
    b.add("down", "conv", out=1, kernel=2, stride=4)
    up = b.add("up", "conv_transpose", out=1, kernel=2, stride=2)
    b.add("resize", "resize", up, scale=4, mode="nearest", coordinates="asymmetric")
    fields = receptive_fields(b.graph())
    assert [field.stride[0] for field in fields] == [1, 4, 2, Fraction(1, 2)]
    assert fields[2].size == (
        2,
        2,
    )  # a 2x2 kernel at stride 2 reads one position for each it writes
    b.add("conv", "conv", out=1, kernel=3)
    assert receptive_fields(b.graph())[-1].size == (2 + 1, 2 + 1)


def test_a_field_after_upsampling_holds_all_that_an_output_depends_on() -> None:
    b = Builder(1, 40)
    b.add("down", "conv", out=1, kernel=3, stride=2, bias=False)
    b.add("up", "conv_transpose", out=1, kernel=3, stride=2, bias=False)
    b.add("smooth", "conv", out=1, kernel=3, bias=False)
    b.add("resize", "resize", scale=2, mode="linear", coordinates="half_pixel")
    field = receptive_fields(b.graph())[-1]
    widths = [np.ptp(np.flatnonzero(row)) + 1 for row in touched(b.graph())]
    assert max(widths) <= field.size[0] <= max(widths) + 2


def test_a_gate_sees_everything() -> None:
    b = Builder(1, 8, 8)
    conv = b.add("conv", "conv", out=1, kernel=3, padding=1)
    pool = b.add("pool", "global_avg_pool", conv)
    b.add("gate", "multiply", conv, b.add("squeeze", "conv", pool, out=1, kernel=1))
    assert receptive_fields(b.graph())[-1].size == (3 + 7, 3 + 7)


def test_flattening_sees_the_whole() -> None:
    b = Builder(1, 8, 8)
    b.add("conv", "conv", out=1, kernel=3, stride=2)  # 3x3 positions, two apart
    b.add("flatten", "flatten")
    b.add("fc", "linear", out=9)
    b.add("square", "reshape", to=[1, 3, 3])
    b.add("after", "conv", out=1, kernel=3)
    fields = receptive_fields(b.graph())
    assert not fields[1].whole
    assert all(field.whole and field.size == (7, 7) for field in fields[2:])


def test_a_vector_has_no_positions() -> None:
    b = Builder(4)
    b.add("fc", "linear", out=9)
    b.add("square", "reshape", to=[1, 3, 3])
    b.add("conv", "conv", out=1, kernel=3)
    assert [field.size for field in receptive_fields(b.graph())] == [(), (), (), ()]


@pytest.mark.parametrize(
    ("row", "size", "stride"),
    [
        # by hand: size + (kernel - 1) * stride along the largest windows of each row
        ("pool1", 11, 4),
        ("pool2", 27, 8),
        ("inception_3b", 91, 8),
        ("inception_4a", 171, 16),
        ("inception_4e", 427, 16),
        ("inception_5b", 715, 32),
    ],
)
def test_googlenet(row: str, size: int, stride: int) -> None:
    graph = archspec.load("googlenet").graph
    last = max(node.index for node in graph.nodes if node.path.split(".")[0] == row)
    field = receptive_fields(graph)[last]
    assert (field.size, field.stride) == ((size, size), (stride, stride))
