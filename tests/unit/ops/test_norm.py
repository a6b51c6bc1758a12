from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F

from archspec.ir.op import EvalContext
from tests.helpers.ops import (
    assert_refused,
    assert_same,
    batch,
    build,
    evaluate,
    parameters,
    tensors,
)

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(lambda size: (6, *size))
EPS = st.sampled_from([1e-5, 1e-3, 0.1])
BATCH_NORM: dict[int, type[nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d]] = {
    1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d,
}  # fmt: skip


@given(
    st.one_of(SHAPES, st.just((6,))),
    EPS,
    st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    st.booleans(),
    st.booleans(),
)
def test_batch_norm_is_torchs_with_its_moving_statistics(
    shape: tuple[int, ...], eps: float, momentum: float, affine: bool, train: bool
) -> None:
    op = build("batch_norm", eps=eps, momentum=momentum, affine=affine)
    params = parameters(op, shape)
    module = BATCH_NORM[len(shape)](6, eps, momentum, affine).double().train(train)
    module.load_state_dict(tensors(params), strict=False)
    x, run = batch(4, *shape, seed=3) * 2 + 1, EvalContext(train=train)
    found = evaluate(op, x, params=params, run=run)
    assert_same(found, module(torch.from_numpy(x)))
    assert set(run.running_stats) == ({"running_mean", "running_var"} if train else set())
    for role, value in run.running_stats.items():
        assert_same(value, module.get_buffer(role))


def test_batch_norm_states_which_tensors_are_moving_statistics() -> None:
    found = {
        param.role: (param.shape, param.init, param.trainable)
        for param in build("batch_norm").params((3, 4, 4))
    }
    module = nn.BatchNorm2d(3)
    trainable = dict(module.named_parameters())
    for role, (shape, init, trains) in found.items():
        value = module.state_dict()[role]
        assert (tuple(value.shape), trains) == (shape, role in trainable)
        assert (value == init).all()
    assert set(found) == set(module.state_dict()) - {"num_batches_tracked"}


def test_batch_norm_of_single_values_raises_in_train_mode() -> None:
    op = build("batch_norm")
    params = parameters(op, (3,))
    with pytest.raises(ValueError, match="more than one value"):
        evaluate(op, batch(1, 3), params=params, run=EvalContext(train=True))
    assert evaluate(op, batch(1, 3), params=params).shape == (1, 3)


@given(st.one_of(SHAPES, st.just((6,))), EPS, st.booleans(), st.sampled_from(["all", "channels"]))
def test_layer_norm_is_torchs(shape: tuple[int, ...], eps: float, affine: bool, axes: str) -> None:
    op = build("layer_norm", eps=eps, affine=affine, axes=axes)
    params = parameters(op, shape)
    x, found = torch.from_numpy(batch(2, *shape)), tensors(params)
    if axes == "all":
        expected = F.layer_norm(x, shape, found.get("weight"), found.get("bias"), eps)
    else:
        expected = F.layer_norm(
            x.movedim(1, -1), shape[:1], found.get("weight"), found.get("bias"), eps
        ).movedim(-1, 1)
    assert_same(evaluate(op, batch(2, *shape), params=params), expected)


@given(SHAPES, st.sampled_from([1, 2, 3]), EPS, st.booleans())
def test_group_norm_is_torchs(
    shape: tuple[int, ...], groups: int, eps: float, affine: bool
) -> None:
    op = build("group_norm", groups=groups, eps=eps, affine=affine)
    params = parameters(op, shape)
    found = tensors(params)
    expected = F.group_norm(
        torch.from_numpy(batch(2, *shape)), groups, found.get("weight"), found.get("bias"), eps
    )
    assert_same(evaluate(op, batch(2, *shape), params=params), expected)


@given(SHAPES.filter(lambda shape: max(shape[1:]) > 1), EPS, st.booleans(), st.booleans())
def test_instance_norm_is_torchs_in_both_modes(
    shape: tuple[int, ...], eps: float, affine: bool, train: bool
) -> None:
    op = build("instance_norm", eps=eps, affine=affine)
    params = parameters(op, shape)
    found = tensors(params)
    x = torch.from_numpy(batch(2, *shape))
    expected = F.instance_norm(
        x, weight=found.get("weight"), bias=found.get("bias"), use_input_stats=True, eps=eps
    )
    assert_same(
        evaluate(op, batch(2, *shape), params=params, run=EvalContext(train=train)), expected
    )


@given(SHAPES, st.sampled_from([1, 3, 5, 13]), st.floats(0, 2), st.floats(0, 2), st.floats(0.5, 2))
def test_lrn_is_torchs(
    shape: tuple[int, ...], size: int, alpha: float, beta: float, k: float
) -> None:
    op = build("lrn", size=size, alpha=alpha, beta=beta, k=k)
    expected = F.local_response_norm(torch.from_numpy(batch(2, *shape)), size, alpha, beta, k)
    assert_same(evaluate(op, batch(2, *shape)), expected)


@pytest.mark.parametrize("channel", range(6))
def test_lrn_divides_alpha_by_the_size_and_clips_the_window(channel: int) -> None:
    """By hand: on ones, a window of 5 sees 3, 4, 5, 5, 4, 3 of six channels."""
    y = evaluate(build("lrn", size=5, alpha=0.5, beta=2.0, k=2.0), batch(1, 6, 1, 1) * 0 + 1)
    assert y[0, channel, 0, 0] == pytest.approx((2 + 0.5 / 5 * (3, 4, 5, 5, 4, 3)[channel]) ** -2)


def test_refusals() -> None:
    assert_refused("AS0305", build("group_norm", groups=4), (6, 3, 3))
    assert_refused("AS0304", build("group_norm", groups=6), (6, 1, 1))
    assert_refused("AS0304", build("instance_norm"), (6, 1, 1))
    assert_refused("AS0307", build("instance_norm"), (6,))
    assert_refused("AS0307", build("lrn", size=5), (6,))
    with pytest.raises(ValidationError, match="odd"):
        build("lrn", size=4)
    for fields in ({"eps": 0}, {"eps": -1e-5}, {"momentum": 1.5}, {"momentum": -0.1}):
        with pytest.raises(ValidationError):
            build("batch_norm", **fields)


def test_torch_refuses_single_values_too() -> None:
    """Why group_norm and instance_norm do."""
    with pytest.raises(ValueError, match="more than 1"):
        F.group_norm(torch.ones(1, 6, 1, 1), 6)
    with pytest.raises(ValueError, match="more than 1"):
        F.instance_norm(torch.ones(1, 6, 1, 1))
