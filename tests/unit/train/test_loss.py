"""Losses as PyTorch has them: value and derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from archspec.conformance.compare import compare
from archspec.reference.loss import loss


def held_against_torch(kind: str, output: Any, labels: Any, smoothing: float, theirs: Any) -> None:
    value, slope = loss(kind, output, labels, smoothing)
    entering = torch.tensor(output, requires_grad=True)
    expected = theirs(entering)
    expected.backward()
    assert entering.grad is not None
    compare(value, expected.item(), bound=1e-12)
    compare(slope, entering.grad.numpy(), bound=1e-12)


@given(
    st.integers(1, 4),
    st.integers(2, 5),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.sampled_from([(), (3,), (2, 3)]),
)
def test_cross_entropy_is_torchs(
    batch: int, classes: int, smoothing: float, places: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(batch * classes)
    output = 5 * rng.standard_normal((batch, classes, *places))
    labels = rng.integers(0, classes, (batch, *places))
    theirs = lambda z: F.cross_entropy(z, torch.tensor(labels), label_smoothing=smoothing)
    held_against_torch("cross_entropy", output, labels, smoothing, theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("classes", [1, 4])
def test_binary_cross_entropy_is_torchs_summed_over_classes(classes: int, smoothing: float) -> None:
    rng = np.random.default_rng(classes)
    output, labels = 5 * rng.standard_normal((6, classes)), rng.integers(0, max(classes, 2), 6)
    exact = labels[:, None] if classes == 1 else np.eye(classes)[labels]
    smooth = torch.tensor(exact * (1 - smoothing) + smoothing / 2)
    theirs = lambda z: F.binary_cross_entropy_with_logits(z, smooth, reduction="none").sum(1).mean()
    held_against_torch("binary_cross_entropy", output, labels, smoothing, theirs)


def test_the_mean_squared_error_is_torchs() -> None:
    rng = np.random.default_rng(0)
    output, wanted = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))
    held_against_torch("mse", output, wanted, 0.0, lambda z: F.mse_loss(z, torch.tensor(wanted)))


@pytest.mark.parametrize("kind", ["cross_entropy", "binary_cross_entropy"])
def test_far_out_it_does_not_overflow(kind: str) -> None:
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, slope = loss(kind, np.array([[1e4, -1e4]]), np.array([1]))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
