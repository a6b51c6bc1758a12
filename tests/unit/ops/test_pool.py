from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from archspec.ir.op import Reads
from archspec.ops.window import Rounding, extent
from tests.helpers.ops import (
    assert_refused,
    assert_same,
    batch,
    build,
    evaluate,
    flat_pads,
    positions,
    refusal,
)

MAX: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE: dict[str, dict[int, Any]] = {
    "adaptive_avg_pool": {
        1: F.adaptive_avg_pool1d,
        2: F.adaptive_avg_pool2d,
        3: F.adaptive_avg_pool3d,
    },
    "adaptive_max_pool": {
        1: F.adaptive_max_pool1d,
        2: F.adaptive_max_pool2d,
        3: F.adaptive_max_pool3d,
    },
}


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any], list[int]]:
    """A sample's shape, the fields of a pool on it, and a padding of at most half the kernel."""
    rank = draw(st.integers(1, 3))
    kernel = draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank))
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    least = [
        k if rank == 3 else max(k - 2 * p, 1) for k, p in zip(kernel, padding, strict=True)
    ]  # torch's limits
    size = [draw(st.integers(n, 9)) for n in least]
    fields: dict[str, Any] = {
        "kernel": kernel,
        "rounding": draw(st.sampled_from(["floor", "ceil"])),
    }
    if draw(st.booleans()):
        fields["stride"] = draw(st.lists(st.integers(1, 5), min_size=rank, max_size=rank))
    return (draw(st.integers(1, 3)), *size), fields, padding


@given(pools())
def test_max_pool_is_torchs(case: tuple[tuple[int, ...], dict[str, Any], list[int]]) -> None:
    shape, fields, padding = case
    x = batch(2, *shape) - 3  # nearly all negative: a padding of zeros would win
    expected = MAX[len(shape) - 1](
        torch.from_numpy(x),
        fields["kernel"],
        fields.get("stride"),
        padding,
        ceil_mode=fields["rounding"] == "ceil",
    )
    assert_same(evaluate(build("max_pool", padding=padding, **fields), x), expected)


@given(pools(), st.booleans())
def test_avg_pool_is_torchs(
    case: tuple[tuple[int, ...], dict[str, Any], list[int]], include: bool
) -> None:
    shape, fields, padding = case
    expected = AVG[len(shape) - 1](
        torch.from_numpy(batch(2, *shape)),
        fields["kernel"],
        fields.get("stride"),
        padding,
        ceil_mode=fields["rounding"] == "ceil",
        count_include_pad=include,
    )
    op = build("avg_pool", padding=padding, count_include_pad=include, **fields)
    assert_same(evaluate(op, batch(2, *shape)), expected)


def test_border_zeros_do_not_count_unless_asked() -> None:
    ones = np.ones((1, 1, 4))
    assert evaluate(build("avg_pool", kernel=2, padding=1), ones).tolist() == [[[1, 1, 1]]]
    op = build("avg_pool", kernel=2, padding=1, count_include_pad=True)
    assert evaluate(op, ones).tolist() == [[[0.5, 1, 0.5]]]


@pytest.mark.parametrize("include", [False, True])
def test_the_overhang_never_counts(include: bool) -> None:
    op = build("avg_pool", kernel=2, rounding="ceil", count_include_pad=include)
    assert evaluate(op, np.ones((1, 1, 5))).tolist() == [[[1, 1, 1]]]


@given(st.data())
def test_dilated_and_unevenly_padded_max_pool(data: st.DataObject) -> None:
    """Equal to torch on an input that is padded beforehand by minus infinity, side by side."""
    kernel, dilation, stride = (data.draw(st.integers(1, 3)) for _ in range(3))
    pads = [
        data.draw(st.lists(st.integers(0, extent(kernel, dilation) // 2), min_size=2, max_size=2))
        for _ in range(2)
    ]
    least = extent(kernel, dilation)
    shape = (2, data.draw(st.integers(least, 9)), data.draw(st.integers(least, 9)))
    padded = F.pad(torch.from_numpy(batch(2, *shape)), flat_pads(pads), value=-torch.inf)
    op = build("max_pool", kernel=kernel, dilation=dilation, stride=stride, padding=pads)
    assert_same(evaluate(op, batch(2, *shape)), F.max_pool2d(padded, kernel, stride, 0, dilation))


@given(st.data())
def test_unevenly_padded_avg_pool(data: st.DataObject) -> None:
    """Against the quotient of two poolings, of the values and of what counts."""
    kernel, stride = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    pads = [
        data.draw(st.lists(st.integers(0, kernel - 1), min_size=2, max_size=2)) for _ in range(2)
    ]
    shape = (2, data.draw(st.integers(kernel, 9)), data.draw(st.integers(kernel, 9)))
    include = data.draw(st.booleans())
    total = F.avg_pool2d(F.pad(torch.from_numpy(batch(2, *shape)), flat_pads(pads)), kernel, stride)
    ones = F.pad(
        torch.ones(1, 1, *shape[1:], dtype=torch.float64), flat_pads(pads), value=float(include)
    )
    op = build("avg_pool", kernel=kernel, stride=stride, padding=pads, count_include_pad=include)
    assert_same(evaluate(op, batch(2, *shape)), total / F.avg_pool2d(ones, kernel, stride))


def test_pools_round_as_caffe_and_as_torch() -> None:
    assert build("max_pool", kernel=3, stride=2, rounding="ceil").shape((64, 112, 112)) == (
        64,
        56,
        56,
    )
    assert build("max_pool", kernel=3, stride=2).shape((64, 112, 112)) == (64, 55, 55)
    assert build("max_pool", kernel=3).shape((64, 112, 112)) == (64, 37, 37)


def brute(n: int, pads: tuple[int, int], k: int, s: int, d: int, rounding: Rounding) -> bool | None:
    """Return whether some window holds only padding, or None if it is larger than its input."""
    room = n + sum(pads) - extent(k, d)
    if room < 0:
        return None
    starts = list(range(-pads[0], room - pads[0] + 1, s))
    if rounding == "ceil":
        starts += [starts[-1] + s] if room % s else []
        starts = starts[:-1] if starts[-1] >= n else starts
    return any(not any(0 <= start + i * d < n for i in range(k)) for start in starts)


@given(
    st.integers(1, 5),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from(["floor", "ceil"]),
)
def test_windows_of_padding_alone_are_refused(
    n: int, pads: tuple[int, int], kernel: int, stride: int, dilation: int, rounding: Rounding
) -> None:
    op = build(
        "max_pool",
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=[list(pads)],
        rounding=rounding,
    )
    empty = brute(n, pads, kernel, stride, dilation, rounding)
    if code := refusal(op, (1, n)):
        assert code == "AS0304"
        # Taps further apart than the input is long are refused from the second window in the
        # border on.
        assert empty in (True, None) or (dilation > n and pads[0] > stride)
    else:
        assert empty is False
        assert np.isfinite(evaluate(op, batch(1, 1, n))).all()


@given(st.sampled_from(sorted(ADAPTIVE)), st.integers(1, 3), st.data())
def test_adaptive_pools_are_torchs(kind: str, rank: int, data: st.DataObject) -> None:
    axes = st.lists(st.integers(1, 8), min_size=rank, max_size=rank)
    shape, size = (2, *data.draw(axes)), data.draw(axes)
    op = build(kind, size=size)
    assert_same(
        evaluate(op, batch(2, *shape)),
        ADAPTIVE[kind][rank](torch.from_numpy(batch(2, *shape)), size),
    )


@given(st.integers(1, 30), st.integers(1, 30))
def test_the_window_of_an_adaptive_pool_is_its_widest_bin(n: int, m: int) -> None:
    window = build("adaptive_avg_pool", size=m).window((1, n))
    assert window is not None
    for i in range(m):
        assert [*positions(window[0], i)] == [*range(i * n // m, -(-(i + 1) * n // m))]


@pytest.mark.parametrize("size", [(7,), (4, 5), (2, 3, 4)])
def test_global_pools(size: tuple[int, ...]) -> None:
    x = batch(2, 3, *size)
    mean, largest = evaluate(build("global_avg_pool"), x), evaluate(build("global_max_pool"), x)
    assert_same(mean, x.reshape(2, 3, -1).sum(2).reshape(2, 3, *(1,) * len(size)) / np.prod(size))
    assert_same(largest, np.sort(x.reshape(2, 3, -1))[..., -1].reshape(2, 3, *(1,) * len(size)))
    assert build("global_avg_pool").window((3, *size)) == tuple(map(Reads.sliding, size))


@given(st.integers(1, 4), st.integers(1, 4), st.sampled_from(["floor", "ceil"]))
def test_the_window_is_what_an_output_sees(kernel: int, stride: int, rounding: str) -> None:
    op = build(
        "avg_pool",
        kernel=kernel,
        stride=stride,
        rounding=rounding,
        padding=[[(kernel - 1) // 2, 0]],
    )
    touched = evaluate(op, np.eye(11)[:, None])[:, 0].T > 0  # [out, in]
    window = op.window((1, 11))
    assert window is not None
    for j, row in enumerate(touched):
        assert np.flatnonzero(row).tolist() == [i for i in positions(window[0], j) if 0 <= i < 11]


def test_refusals() -> None:
    for kind in ("max_pool", "avg_pool"):
        assert_refused("AS0304", build(kind, kernel=3), (4, 2, 2))
        assert_refused("AS0304", build(kind, kernel=2, padding=2), (4, 8, 8))
        assert_refused("AS0312", build(kind, kernel=[2, 2], stride=[1, 1, 1]), (4, 8, 8))
        assert_refused("AS0307", build(kind, kernel=2), (4,))
    for kind in ("global_avg_pool", "global_max_pool"):
        assert_refused("AS0307", build(kind), (4,))
    for kind in ADAPTIVE:
        assert_refused("AS0307", build(kind, size=2), (4,))
        assert_refused("AS0312", build(kind, size=[2, 2]), (4, 4))
