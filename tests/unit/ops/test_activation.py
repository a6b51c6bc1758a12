from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError
from torch.nn import functional as F

from archspec.ops import activation
from tests.helpers.ops import assert_same, build, evaluate

VALUES = st.floats(-60, 60)
BATCHES = arrays.arrays(
    np.float64, arrays.array_shapes(min_dims=2, max_dims=5, max_side=4), elements=VALUES
)
TORCH: dict[str, Callable[[Any], Any]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "softmax": lambda x: F.softmax(x, dim=1),
    "prelu": lambda x: F.prelu(x, torch.tensor([0.25], dtype=torch.float64)),
}


def test_every_activation_is_held_against_torch() -> None:
    assert set(TORCH) == {op.kind for op in activation.OPS}


@pytest.mark.parametrize("kind", TORCH)
@given(x=BATCHES)
def test_with_its_defaults_it_is_torchs(kind: str, x: Any) -> None:
    op = build(kind)
    params = {param.role: np.full(param.shape, param.init) for param in op.params(x.shape[1:])}
    assert_same(evaluate(op, x, params=params), TORCH[kind](torch.from_numpy(x)))


@given(BATCHES, st.floats(0, 3))
def test_slopes_and_alphas(x: Any, number: float) -> None:
    assert_same(
        evaluate(build("leaky_relu", slope=number), x), F.leaky_relu(torch.from_numpy(x), number)
    )
    assert_same(evaluate(build("elu", alpha=number), x), F.elu(torch.from_numpy(x), number))


@given(BATCHES)
def test_approximate_gelu(x: Any) -> None:
    found = evaluate(build("gelu", approximate="tanh"), x)
    assert_same(found, F.gelu(torch.from_numpy(x), approximate="tanh"))


def test_exact_gelu_differs_from_the_approximation() -> None:
    x = np.array([[-1.5]])
    assert abs(evaluate(build("gelu"), x) - evaluate(build("gelu", approximate="tanh"), x)) > 1e-5


@given(BATCHES, st.booleans(), st.data())
def test_prelu_has_a_weight_for_each_channel_or_one(
    x: Any, shared: bool, data: st.DataObject
) -> None:
    op = build("prelu", shared=shared)
    (spec,) = op.params(x.shape[1:])
    assert spec.shape == ((1,) if shared else x.shape[1:2])
    weight = data.draw(arrays.arrays(np.float64, spec.shape, elements=st.floats(-2, 2)))
    assert_same(
        evaluate(op, x, params={"weight": weight}),
        F.prelu(torch.from_numpy(x), torch.from_numpy(weight)),
    )


@pytest.mark.parametrize("kind", ["sigmoid", "softmax", "silu", "elu", "selu", "gelu", "tanh"])
def test_far_values_neither_overflow_nor_vanish_into_nan(kind: str) -> None:
    x = np.array([[-1e5, -750.0, 0.0, 750.0, 1e5]])
    with np.errstate(over="raise", invalid="raise"):
        assert np.isfinite(evaluate(build(kind), x)).all()


def test_sigmoid_and_gelu_keep_their_small_values() -> None:
    """exp(-40), and a tail of the normal distribution: 1 minus either would leave nothing of it."""
    small = evaluate(build("sigmoid"), np.array([[-40.0]]))[0, 0]
    assert small == pytest.approx(math.exp(-40), rel=1e-12, abs=0)
    # the integral of the density below -6, by Simpson's rule from where nothing is left of it
    x, step = np.linspace(-40, -6, 20001, retstep=True)
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    tail = (
        step / 3 * (density[0] + density[-1] + 4 * density[1::2].sum() + 2 * density[2:-1:2].sum())
    )
    assert evaluate(build("gelu"), np.array([[-6.0]]))[0, 0] == pytest.approx(
        -6 * tail, rel=1e-8, abs=0
    )


def test_ranges() -> None:
    for kind, fields in (
        ("leaky_relu", {"slope": -0.1}),
        ("elu", {"alpha": -1}),
        ("gelu", {"approximate": "erf"}),
    ):
        with pytest.raises(ValidationError):
            build(kind, **fields)
