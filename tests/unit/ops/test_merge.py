from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from archspec.ir.op import ShapeError
from tests.helpers.ops import assert_refused, assert_same, batch, build, evaluate


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.lists(st.integers(1, 3), max_size=3))
def test_concat_is_torchs(channels: list[int], size: list[int]) -> None:
    inputs = [batch(2, c, *size, seed=i) for i, c in enumerate(channels)]
    assert_same(
        evaluate(build("concat"), *inputs), torch.cat([torch.from_numpy(x) for x in inputs], dim=1)
    )


@given(arrays.mutually_broadcastable_shapes(num_shapes=3, min_dims=1, max_dims=4, max_side=3))
def test_add_and_multiply_broadcast_as_torch_does(shapes: arrays.BroadcastableShapes) -> None:
    rank = max(len(shape) for shape in shapes.input_shapes)
    inputs = [
        batch(2, *(1,) * (rank - len(s)), *s, seed=i) for i, s in enumerate(shapes.input_shapes)
    ]
    found = [torch.from_numpy(x) for x in inputs]
    assert_same(evaluate(build("add"), *inputs), reduce(torch.add, found))
    assert_same(evaluate(build("multiply"), *inputs), reduce(torch.mul, found))


SHAPES = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)


@given(SHAPES, SHAPES)
def test_what_is_refused_is_what_numpy_refuses(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Operands of different rank are refused: numpy broadcasts these from the wrong side."""
    for kind in ("add", "multiply"):
        try:
            expected = np.broadcast_shapes(a, b) if len(a) == len(b) else None
        except ValueError:
            expected = None
        if expected is None:
            assert_refused("AS0302", build(kind), a, b)
        else:
            assert build(kind).shape(a, b) == expected
    try:
        np.concatenate([np.empty(a), np.empty(b)])
    except ValueError:
        assert_refused("AS0301", build("concat"), a, b)
    else:
        assert build("concat").shape(a, b) == (a[0] + b[0], *a[1:])


def test_the_message_names_the_shapes() -> None:
    with pytest.raises(ShapeError, match="64x7x7 and 32x7x7"):
        build("add").shape((64, 7, 7), (32, 7, 7))
