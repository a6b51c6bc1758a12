"""The window that convolutions and pools offer to lowerings."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from archspec._numpy import np
from archspec.ir.op import EvalContext, ShapeError
from archspec.ops.pool import AvgPool
from archspec.ops.window import SlidingWindow, output_size
from tests.helpers.ops import build


def _op(kind: str, **fields: Any) -> Any:
    return build(kind, **fields)


def test_ceil_rounding_reaches_over_the_end_and_floor_stops_short() -> None:
    ceil = _op("max_pool", kernel=3, stride=2, padding=0, rounding="ceil").sliding_window((1, 6))
    assert (ceil.positions, ceil.reach, ceil.overhang) == ((3,), ((0, 1),), ((0, 1),))
    floor = _op("max_pool", kernel=3, stride=2, padding=1).sliding_window((1, 6))
    assert (floor.positions, floor.pads, floor.reach) == ((3,), ((1, 1),), ((1, 0),))
    short = _op("max_pool", kernel=2, stride=3).sliding_window((1, 7))
    assert (short.exact_pads, short.reach) == (((0, -2),), ((0, 0),))


def test_the_border_counts_as_far_as_windows_reach_and_the_overhang_never() -> None:
    fields: dict[str, Any] = {"kernel": 3, "stride": 2, "padding": 1, "rounding": "ceil"}
    assert _op("avg_pool", **fields).sliding_window((1, 7)).counted == ((0, 0),)
    assert _op("avg_pool", **fields, count_include_pad=True).sliding_window((1, 7)).counted == (
        (1, 1),
    )
    window = _op("avg_pool", **fields, count_include_pad=True).sliding_window((1, 6))
    assert (window.reach, window.counted, window.overhang) == (((1, 2),), ((1, 1),), ((0, 1),))


def test_extent_and_axes_of_a_convolution() -> None:
    window = _op("conv", out=4, kernel=3, dilation=[1, 2], padding="same").sliding_window((2, 5, 6))
    assert (window.kernel, window.stride, window.dilation) == ((3, 3), (1, 1), (1, 2))
    assert (window.extent, window.pads, window.reach) == ((3, 5), ((1, 1), (2, 2)), window.pads)


def test_a_transposed_convolution_slides_over_its_output() -> None:
    op = _op("conv_transpose", out=4, kernel=3, stride=2, padding=1)
    window = op.sliding_window((2, 5))
    assert (window.size, window.positions) == (op.shape((2, 5))[1:], (5,))
    assert window.reach == ((1, 1),)


@st.composite
def pools(draw: st.DrawFn) -> tuple[AvgPool, tuple[int, ...]]:
    kernel = draw(st.integers(1, 5))
    op = _op(
        "avg_pool",
        kernel=kernel,
        stride=draw(st.integers(1, 4)),
        padding=[[draw(st.integers(0, kernel - 1)), draw(st.integers(0, kernel - 1))]],
        rounding=draw(st.sampled_from(["floor", "ceil"])),
        count_include_pad=draw(st.booleans()),
    )
    return op, (1, draw(st.integers(1, 12)))


def window_of(op: AvgPool, shape: tuple[int, ...]) -> SlidingWindow:
    try:
        return op.sliding_window(shape)
    except ShapeError:
        assume(False)
        raise


@given(pools())
def test_padding_by_what_is_reached_and_rounding_down_gives_the_output(
    drawn: tuple[AvgPool, tuple[int, ...]],
) -> None:
    window = window_of(*drawn)
    axes = (window.kernel, window.stride, window.dilation)
    assert output_size(window.size, window.reach, *axes) == window.positions
    assert output_size(window.size, window.exact_pads, *axes) == window.positions


@given(pools())
def test_a_mean_by_the_window_is_the_reference(drawn: tuple[AvgPool, tuple[int, ...]]) -> None:
    op, shape = drawn
    window = window_of(op, shape)
    x = np.arange(1.0, shape[1] + 1)[None, None]
    ((before, after),) = window.reach
    ((counts_before, counts_after),) = window.counted
    cells = np.pad(x[0, 0], (before, after))
    counts = np.pad(np.ones(shape[1] + counts_before + counts_after), (
        before - counts_before, after - counts_after,
    ))  # fmt: skip
    starts = range(0, window.positions[0] * window.stride[0], window.stride[0])
    kernel = window.kernel[0]
    means = [cells[i : i + kernel].sum() / counts[i : i + kernel].sum() for i in starts]
    np.testing.assert_allclose(op.reference([x], {}, EvalContext())[0, 0], means)
