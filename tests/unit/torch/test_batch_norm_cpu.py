"""Batch norm where channels lie last: its statistics hold over many values, as torch's own do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from archspec_torch.batch_norm_cpu import batch_statistics, use_accurate_statistics

SHAPES = [
    (16, 4, 112, 112),
    (3, 2, 5, 7),
    (1, 3, 4, 4),
    (9, 2, 1, 1),
    (5000, 1, 2, 2),
    (9001, 2, 1, 1),
    (17, 3, 31, 37),
]


def pictures(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 3
    return values.to(memory_format=torch.channels_last)


def trained(
    norm: nn.Module, x: torch.Tensor, slopes: torch.Tensor
) -> tuple[list[torch.Tensor], list[Any]]:
    """The output, the derivative and the moving statistics after a step; and the derivatives of scale and shift."""
    x = x.clone().requires_grad_()
    y = norm(x)
    y.backward(slopes.to(y.dtype))
    assert x.grad is not None
    return [y.detach(), x.grad, *norm.buffers()], [
        parameter.grad for parameter in norm.parameters()
    ]


def apart(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(found, wanted, strict=True)]
    return max(
        (float((a - b).abs().max() / b.abs().max().clamp_min(1e-3)) for a, b in pairs), default=0.0
    )


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_batch_norm(shape: tuple[int, ...], affine: bool) -> None:
    ours, exact = (nn.BatchNorm2d(shape[1], affine=affine) for _ in range(2))
    x, slopes = pictures(shape), pictures(shape, 1) - 3
    wanted = trained(exact.double(), x.double(), slopes)
    found = trained(use_accurate_statistics(ours), x, slopes)
    assert apart(found[0], wanted[0]) < 2e-5
    assert (
        apart(found[1], wanted[1]) < 1e-3
    )  # sums of both signs, which torch's kernel makes as ever
    assert apart([ours.eval()(x)], [exact.eval()(x.double())]) < 1e-6


def test_statistics_are_right_to_millionths_where_torch_is_not() -> None:
    x = pictures(SHAPES[0])
    exact = x.double().mean([0, 2, 3]), x.double().var([0, 2, 3], correction=0)
    assert apart([*batch_statistics(x)], [*exact]) < 2e-6
    plain = torch.batch_norm_update_stats(x, None, None, 0.0)
    assert apart([*plain], [*exact]) > 2e-6  # once torch is right as well, this file is not needed


def test_it_keeps_to_half_precision() -> None:
    x = pictures((8, 4, 40, 40))
    norm = use_accurate_statistics(nn.BatchNorm2d(4))
    y = norm(x.bfloat16())
    assert y.dtype == torch.bfloat16
    assert apart([y], [nn.BatchNorm2d(4)(x)]) < 1e-2
    assert {buffer.dtype for buffer in norm.buffers() if buffer.is_floating_point()} == {
        torch.float32
    }


def test_one_value_a_channel_is_refused_as_torch_does() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        use_accurate_statistics(nn.BatchNorm2d(2))(torch.ones(1, 2, 1, 1))
