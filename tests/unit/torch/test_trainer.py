"""What is PyTorch's own in training: what its optimizers remember, and when."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archspec.backend import load
from archspec.backend.trainer import TrainerConfig
from archspec.compiler import write_build
from archspec.diagnostics import Failure
from archspec.ir.recipe import Recipe
from archspec.weights.weight_source import WeightSource
from archspec_torch.device import select_device
from tests.helpers.ranks import batches
from tests.helpers.specs import TWO_HEADS, checked


def trainer(folder: Path, recipe: Recipe) -> Any:
    spec, backend = checked(TWO_HEADS), load("torch")
    assert backend.trainer is not None
    return backend.trainer(
        write_build(spec, backend, folder, weights=WeightSource(seed=0)),
        TrainerConfig(spec.graph, recipe),
    )


@pytest.fixture
def unwritten() -> Generator[None]:
    """Memory that nothing was written to is not a number."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.empty(1).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize("clip", [None, 0.5])
def test_momentum_begins_at_nothing_where_the_first_step_overflows(
    clip: float | None, tmp_path: Path
) -> None:
    recipe = Recipe(momentum=0.9, precision="float16", clip_norm=clip)
    late, plain = (trainer(tmp_path / name, recipe) for name in ("late", "plain"))
    x, y, rate = batches()[0]
    late.step(np.full_like(x, np.inf), y, rate)
    assert not late.save().slots
    for trained in (late, plain):
        for _ in range(3):
            trained.step(x, y, rate)
    one, other = late.save(), plain.save()
    assert one.updates == other.updates == 3
    assert one.slots.keys() == other.slots.keys()
    for name, value in other.slots.items():
        np.testing.assert_allclose(one.slots[name], value, rtol=1e-2, atol=1e-3)


def test_a_device_that_computes_nothing_is_refused() -> None:
    with pytest.raises(Failure, match="has no device `meta`"):
        select_device("meta")
