from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archspec.ir.op import Reads, ShapeError
from tests.helpers.ops import (
    assert_refused,
    assert_same,
    batch,
    build,
    evaluate,
    flat_pads,
    parameters,
    positions,
    refusal,
    tensors,
)

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    """A sample's shape and the fields of a convolution on it; its window may prove too large."""
    rank = draw(st.integers(1, 3))
    axes = lambda low, high: st.lists(st.integers(low, high), min_size=rank, max_size=rank)
    groups = draw(st.integers(1, 3))
    shape = (groups * draw(st.integers(1, 3)), *draw(axes(1, 7)))
    return shape, {
        "out": groups * draw(st.integers(1, 3)),
        "groups": groups,
        "kernel": draw(axes(1, 3)),
        "stride": draw(axes(1, 3)),
        "dilation": draw(axes(1, 2)),
        "bias": draw(st.booleans()),
    }


@given(convolutions(), st.data())
def test_conv_is_torchs(case: tuple[tuple[int, ...], dict[str, Any]], data: st.DataObject) -> None:
    shape, fields = case
    side = st.integers(0, 2)
    pads = data.draw(
        st.lists(
            st.lists(side, min_size=2, max_size=2), min_size=len(shape) - 1, max_size=len(shape) - 1
        )
    )
    op = build("conv", padding=pads, **fields)
    padded = F.pad(torch.from_numpy(batch(2, *shape)), flat_pads(pads))
    reach = [d * (k - 1) + 1 for k, d in zip(fields["kernel"], fields["dilation"], strict=True)]
    if any(n < k for n, k in zip(padded.shape[2:], reach, strict=True)):
        return assert_refused("AS0304", op, shape)
    params = parameters(op, shape)
    options = (fields["stride"], 0, fields["dilation"], fields["groups"])
    weight, bias = params["weight"], params.get("bias")
    with FlopCounterMode(display=False) as counter:
        expected = CONV[len(shape) - 1](
            padded[:1],
            torch.from_numpy(weight),
            None if bias is None else torch.from_numpy(bias),
            *options,
        )
    assert_same(evaluate(op, batch(2, *shape), params=params)[:1], expected)
    assert op.macs(shape) * 2 == counter.get_total_flops()
    return None


@given(convolutions(), st.data())
def test_conv_transpose_is_torchs(
    case: tuple[tuple[int, ...], dict[str, Any]], data: st.DataObject
) -> None:
    shape, fields = case
    rank = len(shape) - 1
    numbers = lambda: data.draw(st.lists(st.integers(0, 2), min_size=rank, max_size=rank))
    pads, extra = numbers(), numbers()
    op = build("conv_transpose", padding=pads, output_padding=extra, **fields)
    if code := refusal(op, shape):
        assert code == "AS0304"
        rows = zip(
            shape[1:],
            pads,
            extra,
            fields["kernel"],
            fields["stride"],
            fields["dilation"],
            strict=True,
        )
        assert any(
            e >= max(s, d) or (n - 1) * s - 2 * p + d * (k - 1) + 1 + e < 1
            for n, p, e, k, s, d in rows
        ), "refused without a reason"
        return
    params = tensors(parameters(op, shape))
    x = torch.from_numpy(batch(1, *shape))
    options = (fields["stride"], pads, extra, fields["groups"], fields["dilation"])
    with FlopCounterMode(display=False) as counter:
        expected = TRANSPOSE[rank](x, params["weight"], params.get("bias"), *options)
    assert_same(evaluate(op, batch(1, *shape), params=parameters(op, shape)), expected)
    assert op.macs(shape) * 2 == counter.get_total_flops()


def test_conv_transpose_with_uneven_padding_cuts_each_side_by_its_number() -> None:
    op, whole = (
        build("conv_transpose", out=2, kernel=4, stride=2, padding=[[1, 2]]),
        build("conv_transpose", out=2, kernel=4, stride=2),
    )
    params = parameters(op, (3, 5))
    assert_same(
        evaluate(op, batch(2, 3, 5), params=params),
        evaluate(whole, batch(2, 3, 5), params=params)[:, :, 1:-2],
    )


@given(convolutions(), st.sampled_from(["same", "same_lower"]))
def test_same_of_a_transposed_convolution_is_the_gradient_of_a_same_convolution(
    case: tuple[tuple[int, ...], dict[str, Any]], padding: str
) -> None:
    """TensorFlow and Keras define it so: the gradient by an input of in * stride, by autograd."""
    shape, fields = case
    op = build("conv_transpose", padding=padding, **fields)
    size = [n * s for n, s in zip(shape[1:], fields["stride"], strict=True)]
    assert op.shape(shape) == (fields["out"], *size)
    params = tensors(parameters(op, shape))
    larger = torch.zeros(2, fields["out"], *size, dtype=torch.float64, requires_grad=True)
    rows = zip(shape[1:], size, *(fields[k] for k in ("kernel", "stride", "dilation")), strict=True)
    totals = [max((n - 1) * s + d * (k - 1) + 1 - m, 0) for n, m, k, s, d in rows]
    pads = [(t // 2, t - t // 2)[:: 1 if padding == "same" else -1] for t in totals]
    options = (fields["stride"], 0, fields["dilation"], fields["groups"])
    padded = F.pad(larger, flat_pads(pads))
    y = CONV[len(shape) - 1](padded, params["weight"], None, *options)
    y.backward(torch.from_numpy(batch(2, *shape)))
    assert larger.grad is not None
    bias = params["bias"].reshape(-1, *[1] * len(size)) if fields["bias"] else 0.0
    expected = larger.grad + bias
    assert_same(evaluate(op, batch(2, *shape), params=parameters(op, shape)), expected)


# From Keras's Conv2DTranspose: what is cut off, and the rows that a small window leaves to add.
@pytest.mark.parametrize(
    ("kernel", "stride", "pads", "added"),
    [
        (2, 2, (0, 0), 0),
        (3, 2, (0, 1), 0),
        (4, 2, (1, 1), 0),
        (5, 2, (1, 2), 0),
        (7, 2, (2, 3), 0),
        (1, 2, (0, 0), 1),
        (1, 3, (0, 0), 2),
        (2, 3, (0, 0), 1),
        (3, 1, (1, 1), 0),
        (4, 1, (1, 2), 0),
    ],
)
def test_same_of_a_transposed_convolution_cuts_the_larger_half_after(
    kernel: int, stride: int, pads: tuple[int, int], added: int
) -> None:
    op: Any = build("conv_transpose", out=1, kernel=kernel, stride=stride, padding="same")
    lower: Any = op.model_copy(update={"padding": "same_lower"})
    assert (op.pads((1, 6)), op.added_rows((1, 6))) == ((pads,), (added,))
    assert lower.pads((1, 6)) == (pads[::-1],)


def test_same_of_a_transposed_convolution_takes_no_output_padding() -> None:
    op = build("conv_transpose", out=2, kernel=5, stride=2, padding="same", output_padding=1)
    with pytest.raises(ShapeError, match=r"in \* stride") as caught:
        op.shape((3, 6, 6))
    assert caught.value.field == "output_padding"
    assert "`padding: [[1, 2], [1, 2]]`" in caught.value.help


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_the_fans_are_torchs(kind: str, groups: int) -> None:
    op = build(kind, out=8, kernel=[3, 5], groups=groups)
    weight = op.params((12, 9, 9))[0]
    module = (torch.nn.Conv2d if kind == "conv" else torch.nn.ConvTranspose2d)(
        12, 8, (3, 5), groups=groups
    )
    assert weight.shape == tuple(module.weight.shape)
    # torch reads a transposed weight's fans off its axes, which are swapped; ours are the layer's
    expected = (12 // groups * 15, 8 // groups * 15)
    assert weight.fan == expected
    if kind == "conv" and groups == 1:
        assert weight.fan == torch.nn.init._calculate_fan_in_and_fan_out(module.weight)


# TensorFlow's padding, from
# https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
@pytest.mark.parametrize(
    ("padding", "size", "kernel", "stride", "expected"),
    [
        ("same", 224, 7, 2, (2, 3)),
        ("same", 224, 3, 2, (0, 1)),
        ("same", 225, 3, 2, (1, 1)),
        ("same_lower", 224, 7, 2, (3, 2)),
        ("symmetric", 224, 7, 2, (3, 3)),
        ("same", 5, 1, 3, (0, 0)),
        ("valid", 224, 7, 2, (0, 0)),
    ],
)
def test_padding_rules(
    padding: str, size: int, kernel: int, stride: int, expected: tuple[int, int]
) -> None:
    op: Any = build("conv", out=1, kernel=kernel, stride=stride, padding=padding)
    assert op.pads((1, size)) == (expected,)


@given(
    st.integers(1, 40),
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from(["same", "same_lower"]),
)
def test_same_padding_gives_the_size_divided_by_the_stride(
    n: int, kernel: int, stride: int, dilation: int, padding: str
) -> None:
    op: Any = build("conv", out=1, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    assert op.shape((1, n)) == (1, -(-n // stride))
    ((before, after),) = op.pads((1, n))
    assert (after - before if padding == "same" else before - after) in (0, 1)


def test_refusals() -> None:
    conv = build("conv", out=6, kernel=3)
    assert_refused("AS0304", conv, (3, 2, 2))
    assert_refused("AS0307", conv, (3,))
    assert_refused("AS0307", conv, (3, 9, 9, 9, 9))
    assert_refused("AS0305", build("conv", out=6, kernel=3, groups=4), (4, 9, 9))
    assert_refused("AS0305", build("conv", out=6, kernel=3, groups=3), (4, 9, 9))
    assert_refused("AS0312", build("conv", out=6, kernel=[3, 3]), (4, 9))
    assert_refused("AS0312", build("conv", out=6, kernel=3, padding=[1, 1, 1]), (4, 9, 9))
    assert_refused("AS0304", build("conv", out=6, kernel=4, padding="symmetric"), (4, 9, 9))
    assert_refused("AS0304", build("conv_transpose", out=6, kernel=2, padding=9), (4, 9, 9))


@given(convolutions())
def test_the_window_is_what_an_output_sees(case: tuple[tuple[int, ...], dict[str, Any]]) -> None:
    """With positive weights, an output depends on an input only inside its declared window."""
    _, fields = case
    k, s, d = fields["kernel"][0], fields["stride"][0], fields["dilation"][0]
    op: Any = build("conv", out=1, kernel=k, stride=s, dilation=d, padding="same", bias=False)
    touched = (
        evaluate(op, np.eye(11)[:, None], params={"weight": np.ones((1, 1, k))})[:, 0].T > 0
    )  # [out, in]
    window = op.window((1, 11))
    assert window is not None
    assert window == (Reads.sliding(d * (k - 1) + 1, s, op.pads((1, 11))[0][0], d),)
    for j, row in enumerate(touched):
        inside = [i for i in positions(window[0], j) if 0 <= i < 11]
        assert np.flatnonzero(row).tolist() == inside


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2))
def test_a_transposed_convolution_reads_what_is_added_into_an_output(
    k: int, s: int, d: int, padding: int
) -> None:
    fields = {"kernel": k, "stride": s, "dilation": d, "padding": padding, "bias": False}
    op = build("conv_transpose", out=1, **fields)
    if refusal(op, (1, 9)):
        return
    touched = evaluate(op, np.eye(9)[:, None], params={"weight": np.ones((1, 1, k))})[:, 0].T > 0
    window = op.window((1, 9))
    assert window is not None
    for j, row in enumerate(touched):
        inside = [i for i in positions(window[0], j) if 0 <= i < 9]
        assert np.flatnonzero(row).tolist() == inside
