"""What each process of a group does for `test_parallel.py`: steps of one trainer, and what the group came to."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

from archspec.backend import load
from archspec.compiler import write
from archspec.recipe import Recipe
from archspec.train.together import joined
from archspec.trainer import Plan, shares
from tests.helpers.specs import checked

NET = """archspec: 1
name: net
input: [2, 6, 6]
args: {drop: 0.0}
network:
  - {name: one, conv: {out: 4, kernel: 3, bias: false}}
  - {name: bn, batch_norm: {}}
  - {name: act, tanh: , aux: side}
  - {name: rest, flatten: , from: act}
  - dropout: {rate: $drop}
  - {name: two, linear: {out: 4}}
blocks:
  auxiliary: {body: [global_avg_pool, flatten, {name: fc, linear: {out: 4}}]}
heads:
  main: {}
  side: {block: auxiliary, weight: 0.3, only: train}
"""
RECIPES = {
    "sgd": Recipe(momentum=0.9, weight_decay=0.01),
    "adamw, clipped": Recipe(optimizer="adamw", clip=0.5, label_smoothing=0.1, average="ema", decay=0.7),
    "in parts": Recipe(accumulate=3, average="polyak"),
    "frozen": Recipe(freeze=("one.*", "bn.*"), rates={"two.*": 3.0}),
}
SIZES = (8, 7, 3, 2, 5)
"""Of whole batches: with three processes the one of two samples leaves one process without any."""
RATES = (0.1, 0.2, 0.05, 0.1, 0.1)


def batches() -> list[tuple[Any, Any, float]]:
    rng = np.random.default_rng(0)
    drawn = [(rng.standard_normal((size, 2, 6, 6)).astype(np.float32), rng.integers(0, 4, size)) for size in SIZES]
    return [(x, y, rate) for (x, y), rate in zip(drawn, RATES, strict=True)]


def stepped(recipe: Recipe, folder: Path, group: Any, drop: float = 0.0) -> dict[str, Any]:
    """Losses of each step, and where it stood after the last one."""
    spec, backend = checked(NET.replace("drop: 0.0", f"drop: {drop}")), load("torch")
    assert backend.trainer is not None
    trainer = backend.trainer(write(spec, backend, folder, seed=0), Plan(spec.graph, recipe, group=group))
    losses: list[Any] = []
    for x, y, rate in batches():
        if recipe.accumulate <= len(x):
            own = np.r_[tuple(shares(len(x), recipe.accumulate, group.rank, group.ranks))]
            trainer.step(x[own], y[own], rate, len(x))
            losses.append(trainer.losses())
    return {"losses": losses, "standing": trainer.save(), "device": trainer.device}


def main(out: Path) -> None:
    with joined(load("torch")) as group:
        here = out / f"{group.rank}"
        here.mkdir()
        found = {name: stepped(recipe, here / name.replace(", ", "-"), group) for name, recipe in RECIPES.items()}
        found["dropped"] = stepped(Recipe(), here / "dropped", group, drop=0.5)
    (out / f"{group.rank}.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
