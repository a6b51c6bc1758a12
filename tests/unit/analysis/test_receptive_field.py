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
    # A 2x2 kernel at stride 2 reads one position for each that it writes.
    assert fields[2].size == (2, 2)
    b.add("conv", "conv", out=1, kernel=3)
    # Of twelve positions in a row that are copies of three, three neighbours show two at most.
    assert receptive_fields(b.graph())[-1].size == (2 + 4, 2 + 4)


def test_a_field_after_upsampling_holds_all_that_an_output_depends_on() -> None:
    b = Builder(1, 40)
    b.add("down", "conv", out=1, kernel=3, stride=2, bias=False)
    b.add("up", "conv_transpose", out=1, kernel=3, stride=2, bias=False)
    b.add("smooth", "conv", out=1, kernel=3, bias=False)
    b.add("resize", "resize", scale=2, mode="linear", coordinates="half_pixel")
    perturb(b.graph())


ups = st.one_of(
    st.builds(
        lambda kernel, stride, dilation, padding: (
            "conv_transpose",
            {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": padding},
        ),
        st.integers(1, 5),
        st.integers(2, 4),
        st.integers(1, 3),
        st.integers(0, 1),
    ),
    st.builds(
        lambda scale, how: (
            "resize",
            {"scale": scale, "mode": how[0], "coordinates": how[1]},
        ),
        st.integers(2, 4),
        st.sampled_from(
            [("nearest", "half_pixel"), ("nearest", "asymmetric"), ("linear", "half_pixel")]
        ),
    ),
    st.builds(lambda rows: ("resize_to", {"add": rows}), st.integers(1, 30)),
    st.builds(lambda rows: ("adaptive_avg_pool", {"add": rows}), st.integers(-9, 30)),
)


def grow(b: Builder, name: str, up: tuple[str, dict[str, Any]]) -> int:
    """Add an upsampling behind the last node; `add` is how many positions its output has more."""
    kind, fields = up
    size = b.nodes[-1].shape[1] + fields.get("add", 0)
    if kind == "resize_to":
        return b.add(name, "resize", size=size, mode="linear", coordinates="align_corners")
    if "add" in fields:
        return b.add(name, kind, size=size)
    weights: dict[str, Any] = {"out": 1, "bias": False} if kind == "conv_transpose" else {}
    return b.add(name, kind, **fields, **weights)


def perturb(graph: Graph) -> None:
    """Hold the field behind an upsampling against what each output depends on.

    No output sees more, and one whose field lies inside the input sees as much.
    """
    field = receptive_fields(graph)[-1]
    seen = np.abs(touched_values(graph)) > 1e-9
    inside: list[int] = []
    for row in seen:
        positions = np.flatnonzero(row)
        if not len(positions):
            continue
        width = int(positions[-1] - positions[0] + 1)
        assert width <= field.size[0]
        if positions[0] > 0 and positions[-1] < seen.shape[1] - 1:
            inside.append(width)
    period = Fraction(field.stride[0]).denominator
    if len(inside) >= 2 * period:
        assert max(inside) == field.size[0]


def touched_values(graph: Graph) -> np.ndarray:
    """[out, in]: the derivative of each output by each position, with weights that do not cancel."""
    values = [np.eye(graph.input[1])[:, None]]
    for node in graph.nodes[1:]:
        params = {p.role: np.full(p.shape, 1.0) for p in graph.params(node)}
        values.append(node.op.reference([values[i] for i in node.inputs], params, EvalContext()))
    return values[-1].sum(axis=1).T


@given(layers, ups, layers, st.one_of(st.none(), ups), st.lists(layers, max_size=2))
def test_behind_upsamplings_the_field_is_the_most_that_an_output_depends_on(
    down: tuple[str, int, int, tuple[int, int]],
    up: tuple[str, dict[str, Any]],
    smooth: tuple[str, int, int, tuple[int, int]],
    again: tuple[str, dict[str, Any]] | None,
    last: list[tuple[str, int, int, tuple[int, int]]],
) -> None:
    b = Builder(1, 40)
    add(b, "down", 0, down)
    grow(b, "up", up)
    add(b, "smooth", len(b.nodes) - 1, smooth)
    if again is not None:
        grow(b, "again", again)
    for i, layer in enumerate(last):
        add(b, f"last{i}", len(b.nodes) - 1, layer)
    perturb(b.graph())


def test_small_windows_behind_an_upsampling_add_up_without_rounding() -> None:
    """Three neighbours of a doubled row are copies of two positions, however they are read."""
    b = Builder(1, 40)
    b.add("up", "resize", scale=2, mode="nearest", coordinates="half_pixel")
    b.add("one", "conv", out=1, kernel=2, bias=False)
    b.add("two", "conv", out=1, kernel=2, bias=False)
    assert receptive_fields(b.graph())[-1].size == (2,)
    perturb(b.graph())


def test_a_skip_connection_joins_what_both_see() -> None:
    b = Builder(1, 32)
    skip = b.add("skip", "conv", out=1, kernel=3, padding=1, bias=False)
    b.add("down", "avg_pool", kernel=2)
    b.add("deep", "conv", out=1, kernel=3, padding=1, bias=False)
    up = b.add("up", "conv_transpose", out=1, kernel=2, stride=2, bias=False)
    b.add("join", "concat", skip, up)
    b.add("last", "conv", out=1, kernel=3, padding=1, bias=False)
    perturb(b.graph())


def test_patterns_too_long_to_list_are_bounded() -> None:
    b = Builder(1, 1000)
    b.add("up", "resize", size=2003, mode="linear", coordinates="half_pixel")
    b.add("conv", "conv", out=1, kernel=3, bias=False)
    (width,) = receptive_fields(b.graph())[-1].size
    assert 3 <= width <= 4
    big = Builder(1, 10**12)
    big.add("up", "conv_transpose", out=1, kernel=10**6, stride=10**6)
    big.add("conv", "conv", out=1, kernel=10**9)
    assert receptive_fields(big.graph())[-1].stride == (Fraction(1, 10**6),)


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
