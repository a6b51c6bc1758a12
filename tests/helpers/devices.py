"""Runs some batches in Keras on JAX, on all devices, for `test_parallel_keras.py`."""

from __future__ import annotations

import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

from archspec.backend import load
from archspec.backend.trainer import TrainerConfig
from archspec.compiler import write_build
from archspec.weights.weight_source import WeightSource
from tests.helpers.ranks import DEEP, RECIPES, batches
from tests.helpers.specs import TWO_HEADS, checked

SOME = [*RECIPES] if DEEP else ["adamw, clipped"]
MANY = 5 if DEEP else 2
"""Batches: one that the devices can share evenly, and one that they cannot."""


def main(out: Path) -> None:
    spec, backend, found = checked(TWO_HEADS), load("keras"), dict[str, Any]()
    assert backend.trainer is not None
    for name in SOME:
        recipe = RECIPES[name]
        with tempfile.TemporaryDirectory() as folder:
            build = write_build(spec, backend, Path(folder) / "net", weights=WeightSource(seed=0))
            trainer: Any = backend.trainer(build, TrainerConfig(spec.graph, recipe))
        losses: list[Any] = []
        shards: list[list[int]] = []
        for x, y, rate in batches()[:MANY]:
            trainer.step(x, y, rate)
            losses.append(trainer.losses())
            given: Any = trainer.train_step.jit.tensor(x, batch=True)
            shards.append([len(shard.data) for shard in given.addressable_shards])
        found[name] = {
            "losses": losses,
            "standing": trainer.save(),
            "device": trainer.device,
            "shards": shards,
        }
    out.write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
