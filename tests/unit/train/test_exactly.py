"""Learning rates reach the step that they are for, and a checkpoint holds what was saved, apart by kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archspec.backend.trainer import TrainerConfig
from archspec.reference.trainer import ReferenceTrainer
from archspec.train.checkpoint import Progress, read_checkpoint, write_checkpoint
from archspec.train.loop import run_loop
from archspec.weights.init import initial_tensors
from tests.unit.train.test_loop import RECIPE, SPEC, run


class Noting(ReferenceTrainer):
    """It notes the learning rate of each step."""

    def __init__(self) -> None:
        super().__init__(TrainerConfig(SPEC.graph, RECIPE), initial_tensors(SPEC.graph, 0))
        self.learning_rates: list[float] = []

    def step(self, x: Any, y: Any, learning_rate: float, size: int | None = None) -> None:
        self.learning_rates.append(learning_rate)
        super().step(x, y, learning_rate, size)


def test_a_warm_up_of_five_steps_rises_from_the_first_on(tmp_path: Path) -> None:
    trainer = Noting()
    run_loop(run(tmp_path), trainer, Progress())
    assert trainer.learning_rates[:6] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.1])
    assert trainer.learning_rates[6:] == sorted(trainer.learning_rates[6:], reverse=True)
    assert len(trainer.learning_rates) == 15


def test_a_checkpoint_keeps_slots_and_means_apart(tmp_path: Path) -> None:
    trainer = Noting()
    rng = np.random.default_rng(0)
    for _ in range(2):
        trainer.step(rng.standard_normal((4, 4)), rng.integers(0, 3, 4), 0.1)
    saved = trainer.save()
    path = write_checkpoint(tmp_path, SPEC.graph, SPEC.sha256, saved, Progress(step=2))
    read, _ = read_checkpoint(path, SPEC.graph)
    for part in ("tensors", "slots", "average"):
        assert set(getattr(read, part)) == set(getattr(saved, part)) != set(), part
    assert read.updates == saved.updates == 2
