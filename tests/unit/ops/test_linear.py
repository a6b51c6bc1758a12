from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from archspec.ir.op import ShapeError
from tests.helpers.ops import (
    assert_refused,
    assert_same,
    batch,
    build,
    evaluate,
    parameters,
    tensors,
)


@given(st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_linear_is_torchs(features: int, out: int, bias: bool) -> None:
    op = build("linear", out=out, bias=bias)
    params = parameters(op, (features,))
    x, found = torch.from_numpy(batch(3, features)), tensors(params)
    assert_same(
        evaluate(op, batch(3, features), params=params),
        F.linear(x, found["weight"], found.get("bias")),
    )
    with FlopCounterMode(display=False) as counter:
        torch.mm(x[:1], found["weight"].T)
    assert op.macs((features,)) * 2 == counter.get_total_flops()
    assert op.params((features,))[0].fan == torch.nn.init._calculate_fan_in_and_fan_out(
        found["weight"]
    )


def test_an_unflattened_input_is_refused_with_the_mend() -> None:
    op = build("linear", out=10)
    assert_refused("AS0306", op, (16, 5, 5))
    with pytest.raises(ShapeError, match="16x5x5") as caught:
        op.shape((16, 5, 5))
    assert "flatten" in caught.value.help


def test_flatten_then_linear_reads_channels_height_width() -> None:
    """The trap of models that keep channels last: feature c*H*W + h*W + w is position (c, h, w)."""
    x = np.arange(24.0).reshape(1, 2, 3, 4)
    flat = evaluate(build("flatten"), x)
    pick = np.zeros((1, 24))
    pick[0, 1 * 12 + 2 * 4 + 3] = 1
    params = {"weight": pick, "bias": np.zeros(1)}
    assert evaluate(build("linear", out=1), flat, params=params) == x[0, 1, 2, 3]
