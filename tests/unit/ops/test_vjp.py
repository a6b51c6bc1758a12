"""The derivative of every op against differences of its reference, and against torch at kinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from archspec.conformance.fields import schema
from archspec.conformance.ops import MAX_RANK, inputs, make_op, op_values, shapes, takes_rank
from archspec.ir.op import EvalContext, Op
from archspec.ir.types import Shape
from archspec.ops import OPS
from tests.helpers.derivative import Array, assert_derivative
from tests.helpers.effort import examples
from tests.helpers.ops import assert_same, batch, build, parameters


@dataclass(frozen=True)
class Case:
    """An op, values for it, and where its parameters and directions come from."""

    op: Op
    inputs: tuple[Array, ...]
    seed: int


@st.composite
def cases(draw: st.DrawFn, kind: str) -> Case:
    shape = draw(shapes(*(rank for rank in range(MAX_RANK + 1) if takes_rank(kind, rank))))
    entering = draw(_operands(kind, shape)) if OPS[kind].variadic else [shape]
    op = build(kind, **draw(op_values(kind, *entering)))
    values = tuple(draw(inputs(shape, batch=2)) for shape in entering)
    return Case(op, values, draw(st.integers(0, 2**32 - 1)))


@st.composite
def _operands(draw: st.DrawFn, kind: str, shape: Shape) -> list[Shape]:
    """Two or three shapes that a merge takes: like the first, or with one axis of another size."""
    found = [shape]
    for _ in range(draw(st.integers(1, 2))):
        axis = draw(st.integers(0, len(shape) - 1))
        other = (*shape[:axis], draw(st.sampled_from((1, 2, 5))), *shape[axis + 1 :])
        found.append(other if make_op(kind, {}, *found, other) else shape)
    return draw(st.permutations(found))


@pytest.mark.parametrize("kind", OPS)
def test_it_is_the_slope_of_the_reference(kind: str) -> None:
    @examples(25 + 10 * len(schema(kind)))
    @given(cases(kind), st.booleans())
    def holds(case: Case, train: bool) -> None:
        op, seed, rng = case.op, case.seed, np.random.default_rng(case.seed)
        samples = [x.shape[1:] for x in case.inputs]
        params = parameters(op, *samples, seed=seed)
        run = lambda: EvalContext(train=train, dropout=False)
        y = op.reference(case.inputs, params, run())
        cotangent = rng.uniform(-1, 1, y.shape)
        before = [value.copy() for value in (*case.inputs, *params.values(), cotangent)]
        given, own = op.vjp(case.inputs, params, run(), cotangent)
        for given_now, old in zip((*case.inputs, *params.values(), cotangent), before, strict=True):
            np.testing.assert_array_equal(given_now, old)
        assert len(given) == len(case.inputs)
        assert set(own) == {param.role for param in op.params(*samples) if param.trainable}

        def value(values: Sequence[Array], tensors: Mapping[str, Array]) -> float:
            return float((op.reference(values, tensors, run()) * cotangent).sum())

        size = float(np.abs(y * cotangent).sum())
        for i, gradient in enumerate(given):
            others = lambda x, i=i: (*case.inputs[:i], x, *case.inputs[i + 1 :])
            moved = lambda x, others=others: value(others(x), params)
            assert_derivative(
                gradient, moved, case.inputs[i], rng, size=size, what=f"{kind}, input {i}"
            )
        for role, gradient in own.items():
            moved = lambda p, role=role: value(case.inputs, {**params, role: p})
            assert_derivative(gradient, moved, params[role], rng, size=size, what=f"{kind}, {role}")

    holds()


def pulled(op: Op, x: Array, cotangent: Array, params: Mapping[str, Array] | None = None) -> Array:
    return op.vjp([x], params or {}, EvalContext(), cotangent)[0][0]


def by_torch(function: Callable[[Any], Any], x: Array, cotangent: Array) -> Array:
    entering = torch.from_numpy(x.copy()).requires_grad_()
    (found,) = torch.autograd.grad(function(entering), entering, torch.from_numpy(cotangent))
    return found.numpy()


KINKED: dict[str, Callable[[Any], Any]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
}


@pytest.mark.parametrize("kind", KINKED)
def test_at_a_kink_it_is_torchs(kind: str) -> None:
    x = np.array([[-6.0, -3.0, -0.0, 0.0, 3.0, 6.0]])
    found, expected = (
        pulled(build(kind), x, np.ones_like(x)),
        by_torch(KINKED[kind], x, np.ones_like(x)),
    )
    np.testing.assert_allclose(
        found, expected, rtol=1e-7
    )  # torch has 1/6 in float32 in its hardsigmoid


def test_prelu_at_its_kink_is_torchs() -> None:
    x, weight = np.array([[-1.0, 0.0], [0.0, 2.0]]), np.array([0.5, 0.25])
    entering, learnt = (torch.from_numpy(value).requires_grad_() for value in (x, weight))
    expected = torch.autograd.grad(F.prelu(entering, learnt).sum(), (entering, learnt))
    (found,), own = build("prelu").vjp([x], {"weight": weight}, EvalContext(), np.ones_like(x))
    assert_same(found, expected[0])
    assert_same(own["weight"], expected[1])


def tied(shape: tuple[int, ...], seed: int) -> Array:
    """Few different values: most windows hold their largest more than once."""
    return np.random.default_rng(seed).integers(-1, 2, size=shape).astype(float)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 1),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_of_equals_a_max_pool_takes_the_first_as_torch_does(
    rank: int, stride: int, padding: int, ceil: bool, seed: int
) -> None:
    x = tied((2, 2, *(6, 5, 4)[:rank]), seed)
    op = build(
        "max_pool", kernel=3, stride=stride, padding=padding, rounding="ceil" if ceil else "floor"
    )
    pool = [F.max_pool1d, F.max_pool2d, F.max_pool3d][rank - 1]
    cotangent = batch(2, *op.shape(x.shape[1:]), seed=seed)
    assert_same(
        pulled(op, x, cotangent),
        by_torch(lambda x: pool(x, 3, stride, padding, ceil_mode=ceil), x, cotangent),
    )


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_of_equals_an_adaptive_and_a_global_max_pool_take_the_first_as_torch_does(
    rank: int, size: int, seed: int
) -> None:
    x = tied((2, 2, *(6, 5, 4)[:rank]), seed)
    pool = [F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d][rank - 1]
    for op, bins in ((build("adaptive_max_pool", size=size), size), (build("global_max_pool"), 1)):
        cotangent = batch(2, *op.shape(x.shape[1:]), seed=seed)
        assert_same(
            pulled(op, x, cotangent), by_torch(lambda x, bins=bins: pool(x, bins), x, cotangent)
        )


@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "silu", "gelu", "softmax", "elu", "selu"])
def test_far_out_it_neither_overflows_nor_loses_its_digits(kind: str) -> None:
    x = np.array([[-1000.0, -30.0, 30.0, 1000.0]])
    with np.errstate(over="raise", invalid="raise"):
        found = pulled(build(kind), x, np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert np.isfinite(found).all()


def test_the_tails_of_sigmoid_and_tanh_are_even() -> None:
    x = np.array([[-30.0, 30.0]])
    for kind in ("sigmoid", "tanh"):
        low, high = pulled(build(kind), x, np.ones_like(x))[0]
        assert low == high > 0
    assert_same(
        pulled(build("sigmoid"), x, np.ones_like(x))[0, 1:],
        np.array([np.exp(-30.0) / (1 + np.exp(-30.0)) ** 2]),
    )


def test_the_product_of_others_is_right_where_values_are_zero() -> None:
    zero, one, two = (np.array([[value, 1.0]]) for value in (0.0, 1.0, 2.0))
    found, _ = build("multiply").vjp([zero, two, one], {}, EvalContext(), np.array([[3.0, 5.0]]))
    for gradient, expected in zip(found, ([6.0, 5.0], [0.0, 5.0], [0.0, 5.0]), strict=True):
        assert_same(gradient, np.array([expected]))


def test_dropout_that_drops_has_no_derivative() -> None:
    x, op = batch(2, 3), build("dropout", rate=0.5)
    with pytest.raises(ValueError, match=r"keeps no mask.*dropout=False"):
        op.vjp([x], {}, EvalContext(train=True, rng=np.random.default_rng(0)), x)
    for run in (EvalContext(), EvalContext(train=True, dropout=False)):
        assert_same(op.vjp([x], {}, run, x)[0][0], x)
    assert_same(build("dropout", rate=0).vjp([x], {}, EvalContext(train=True), x)[0][0], x)


def test_an_op_that_declares_none_says_so() -> None:
    class Strange(Op):
        kind = "strange"
        family = "strange"

    with pytest.raises(TypeError, match="Strange declares no derivative"):
        Strange().vjp([batch(1, 1)], {}, EvalContext(), batch(1, 1))
