from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional as F

from tests.helpers.ops import (
    assert_refused,
    assert_same,
    batch,
    build,
    evaluate,
    flat_pads,
    positions,
)

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=3)
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


@given(SIZES)
def test_identity_and_flatten(size: list[int]) -> None:
    x = batch(2, 3, *size)
    assert_same(evaluate(build("identity"), x), x)
    assert_same(evaluate(build("flatten"), x), torch.flatten(torch.from_numpy(x), 1))


@given(st.permutations([2, 3, 4]), st.integers(0, 3))
def test_reshape_is_torchs(to: list[int], hole: int) -> None:
    open_to = [-1 if i == hole else n for i, n in enumerate(to)]
    x = batch(2, 4, 6)
    op = build("reshape", to=open_to)
    assert_same(evaluate(op, x), torch.from_numpy(x).reshape(2, *to))


def test_reshape_refusals() -> None:
    assert_refused("AS0308", build("reshape", to=[5, 5]), (4, 6))
    assert_refused("AS0308", build("reshape", to=[5, -1]), (4, 6))
    assert_refused("AS0308", build("reshape", to=[48]), (4, 6))
    for to in ([-1, -1], [0, 4], [-2], [], [1, 1, 1, 1, 1], [True], [2.0]):
        with pytest.raises(ValidationError):
            build("reshape", to=to)


@given(st.integers(1, 4), st.integers(1, 4), st.lists(st.integers(1, 3), max_size=3))
def test_channel_shuffle_is_torchs(groups: int, per_group: int, size: list[int]) -> None:
    x = batch(2, groups * per_group, *size)
    four = x.reshape(2, groups * per_group, -1, 1)
    expected = torch.channel_shuffle(torch.from_numpy(four), groups).reshape(x.shape)
    assert_same(evaluate(build("channel_shuffle", groups=groups), x), expected)


def test_channel_shuffle_groups_divide_the_channels() -> None:
    assert_refused("AS0305", build("channel_shuffle", groups=3), (4, 2, 2))


@given(SIZES, st.sampled_from(["constant", "reflect", "replicate"]), st.data())
def test_pad_is_torchs(size: list[int], mode: str, data: st.DataObject) -> None:
    pads = [data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=2)) for _ in size]
    value = data.draw(st.floats(-2, 2)) if mode == "constant" else 0.0
    op = build("pad", padding=pads, mode=mode, value=value)
    x = torch.from_numpy(batch(2, 3, *size))
    if mode == "reflect" and any(max(pair) >= n for pair, n in zip(pads, size, strict=True)):
        with pytest.raises(RuntimeError):
            F.pad(x, flat_pads(pads), mode)
        assert_refused("AS0304", op, (3, *size))
    else:
        expected = F.pad(x, flat_pads(pads), mode, value if mode == "constant" else None)
        assert_same(evaluate(op, batch(2, 3, *size)), expected)


def test_pad_fields() -> None:
    assert build("pad", padding=2).shape((3, 4, 5)) == (3, 8, 9)
    assert build("pad", padding=[1, 2]).shape((3, 4, 5)) == (3, 6, 9)
    assert build("pad", padding="1x2").shape((3, 4, 5)) == (3, 6, 9)
    assert_refused("AS0312", build("pad", padding=[1, 2]), (3, 4, 5, 6))
    assert_refused("AS0307", build("pad", padding=1), (3,))
    for fields in (
        {"padding": "same"},
        {"padding": -1},
        {"padding": 1, "mode": "reflect", "value": 1.0},
    ):
        with pytest.raises(ValidationError):
            build("pad", **fields)


@given(SIZES, st.data())
def test_crop_by_its_sides_undoes_a_pad(size: list[int], data: st.DataObject) -> None:
    pads = [data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=2)) for _ in size]
    x = batch(2, 3, *size)
    assert_same(evaluate(build("crop", sides=pads), evaluate(build("pad", padding=pads), x)), x)


@pytest.mark.parametrize(
    ("size", "kept"), [(5, "abcde"), (4, "abcd"), (3, "bcd"), (2, "bc"), (1, "c")]
)
def test_crop_keeps_the_middle(size: int, kept: str) -> None:
    x = np.arange(5.0).reshape(1, 1, 5)
    assert "".join("abcde"[int(i)] for i in evaluate(build("crop", size=size), x).flat) == kept


def test_crop_refusals() -> None:
    assert_refused("AS0310", build("crop", size=[5, 4]), (3, 4, 4))
    assert_refused("AS0310", build("crop", sides=2), (3, 4, 4))
    assert_refused("AS0312", build("crop", size=[2, 2, 2]), (3, 4, 4))
    assert_refused("AS0307", build("crop", size=2), (3,))
    for fields in ({}, {"size": 2, "sides": 1}, {"sides": "same"}):
        with pytest.raises(ValidationError):
            build("crop", **fields)


@given(SIZES, st.data(), st.sampled_from(["half_pixel", "asymmetric"]))
def test_nearest_resize_takes_the_position_that_the_rule_gives(
    size: list[int], data: st.DataObject, rule: str
) -> None:
    """By exact fractions, and as torch unless its float32 scale rounds across a whole number."""
    out = data.draw(st.lists(st.integers(1, 14), min_size=len(size), max_size=len(size)))
    x = batch(2, 3, *size)
    expected: Any = x
    shift = Fraction(1, 2) if rule == "half_pixel" else Fraction(0)
    for axis, (n, m) in enumerate(zip(size, out, strict=True), 2):
        expected = expected.take([math.floor((i + shift) * Fraction(n, m)) for i in range(m)], axis)
    found = evaluate(build("resize", size=out, mode="nearest", coordinates=rule), x)
    assert_same(found, expected)


@pytest.mark.parametrize(
    ("rule", "name"), [("half_pixel", "nearest-exact"), ("asymmetric", "nearest")]
)
@pytest.mark.parametrize("size", [(5,), (4, 6), (2, 3, 4)])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_nearest_resize_by_a_factor_is_torchs(
    rule: str, name: str, size: tuple[int, ...], scale: int
) -> None:
    x = batch(2, 3, *size)
    expected = F.interpolate(torch.from_numpy(x), scale_factor=scale, mode=name)
    assert_same(
        evaluate(build("resize", scale=scale, mode="nearest", coordinates=rule), x), expected
    )


@given(SIZES, st.data(), st.sampled_from(["half_pixel", "align_corners"]))
def test_linear_resize_is_torchs(size: list[int], data: st.DataObject, rule: str) -> None:
    out = data.draw(st.lists(st.integers(1, 14), min_size=len(size), max_size=len(size)))
    x = batch(2, 3, *size)
    options: dict[str, Any] = {"mode": LINEAR[len(size)], "align_corners": rule == "align_corners"}
    expected = F.interpolate(torch.from_numpy(x), out, **options)
    assert_same(evaluate(build("resize", size=out, mode="linear", coordinates=rule), x), expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "nearest", "coordinates": "half_pixel"},
        {"size": 4, "scale": 2, "mode": "nearest", "coordinates": "half_pixel"},
        {"size": 4, "mode": "nearest", "coordinates": "align_corners"},
        {"size": 4, "mode": "linear", "coordinates": "asymmetric"},
        {"size": 4, "mode": "linear"},
        {"size": 4, "coordinates": "half_pixel"},
        {"size": 0, "mode": "linear", "coordinates": "half_pixel"},
        {"scale": 1.5, "mode": "linear", "coordinates": "half_pixel"},
    ],
)
def test_resize_refuses_what_is_not_well_defined(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        build("resize", **fields)


def test_resize_shapes() -> None:
    op = build("resize", scale=[1, 2], mode="nearest", coordinates="asymmetric")
    assert op.shape((3, 4, 5)) == (3, 4, 10)
    assert_refused("AS0312", op, (3, 4))
    assert_refused("AS0307", op, (3,))


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(["nearest", "linear"]))
def test_an_output_of_resize_sees_no_more_than_its_window(n: int, m: int, mode: str) -> None:
    assume(n > 1)
    op = build("resize", size=m, mode=mode, coordinates="half_pixel")
    window = op.window((1, n))
    assert window is not None
    seen = np.abs(evaluate(op, np.eye(n)[:, None])[:, 0]) > 1e-9
    for i in range(m):
        clipped = {min(max(j, 0), n - 1) for j in positions(window[0], i)}
        assert {*np.flatnonzero(seen[:, i])} == clipped
