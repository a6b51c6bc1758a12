from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from archspec.ir.op import EvalContext
from tests.helpers.ops import batch, build, evaluate


@pytest.mark.parametrize("run", [EvalContext(), EvalContext(train=True, dropout=False)])
def test_dropout_does_nothing_in_eval_mode_and_where_it_is_off(run: EvalContext) -> None:
    x = batch(2, 50)
    assert (evaluate(build("dropout", rate=0.4), x, run=run) == x).all()


@given(st.floats(0, 0.95), st.integers(0, 99))
def test_dropout_keeps_the_mean(rate: float, seed: int) -> None:
    """`rate` is the share that is dropped; what is kept is divided by the share that is kept."""
    y = evaluate(
        build("dropout", rate=rate),
        np.ones((20, 1000)),
        run=EvalContext(train=True, rng=np.random.default_rng(seed)),
    )
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - rate))
    assert kept.mean() == pytest.approx(1 - rate, abs=6 * 0.5 / np.sqrt(y.size))


def test_dropout_without_a_generator_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="rng"):
        evaluate(build("dropout", rate=0.4), batch(2, 5), run=EvalContext(train=True))


@pytest.mark.parametrize("rate", [1, 1.5, -0.1])
def test_dropout_rate_is_a_probability_below_1(rate: float) -> None:
    with pytest.raises(ValidationError):
        build("dropout", rate=rate)
