"""The work of each process for `test_parallel*.py`: a trainer's steps, runs that end in any way."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

from archspec.backend import load
from archspec.backend.trainer import TrainerConfig, TrainState, rank_slices
from archspec.compiler import write_build
from archspec.diagnostics import Failure
from archspec.frontend.loader import Spec
from archspec.ir.recipe import Recipe
from archspec.train import loop
from archspec.train.distributed import join_group
from archspec.train.run import TrainOptions, train_spec
from archspec.weights.weight_source import WeightSource
from tests.helpers.specs import TWO_HEADS, checked

RECIPES = {
    "sgd": Recipe(momentum=0.9, weight_decay=0.01),
    "adamw, clipped": Recipe(
        optimizer="adamw", clip_norm=0.5, label_smoothing=0.1, average="ema", ema_decay=0.7
    ),
    "in parts": Recipe(accumulate=3, average="polyak"),
    "frozen": Recipe(freeze=("one.*", "bn.*"), lr_multipliers={"two.*": 3.0}),
}
UNREAD = """archspec: 1
name: net
input: [2, 6, 6]
network:
  - {name: one, conv: {out: 4, kernel: 3}, aux: side}
  - {name: act, tanh: , aux: idle}
  - flatten
  - {name: two, linear: {out: 4}}
  - {name: aside, linear: {out: 2}}
  - {name: end, from: two, tanh: }
blocks:
  auxiliary: {body: [global_avg_pool, flatten, {name: fc, linear: {out: 4}}]}
heads:
  main: {}
  side: {block: auxiliary, weight: 0.3, only: train}
  idle: {block: auxiliary, loss: none}
"""
"""With a layer that nothing reads, and a head without a loss."""
OTHERS = {
    "unread": (UNREAD, Recipe(momentum=0.9, weight_decay=0.01, accumulate=2)),
    "unread alone": (UNREAD, Recipe(weight_decay=0.1, freeze=("one.*", "two.*", "side.*"))),
}
"""Specs that leave tensors without a gradient, with their recipes; in the last all tensors."""
CASES = {name: (TWO_HEADS, recipe) for name, recipe in RECIPES.items()} | OTHERS
SIZES = (8, 7, 3, 2, 5)
"""Of whole batches: with three processes the one of two samples leaves one process without any."""
RATES = (0.1, 0.2, 0.05, 0.1, 0.1)


def batches() -> list[tuple[Any, Any, float]]:
    rng = np.random.default_rng(0)
    drawn = [
        (rng.standard_normal((size, 2, 6, 6)).astype(np.float32), rng.integers(0, 4, size))
        for size in SIZES
    ]
    return [(x, y, rate) for (x, y), rate in zip(drawn, RATES, strict=True)]


def stepped(text: str, recipe: Recipe, folder: Path, group: Any, **options: Any) -> dict[str, Any]:
    """Losses of each step, and where it stood after the last one."""
    spec, backend = checked(text), load("torch")
    assert backend.trainer is not None
    trainer = backend.trainer(
        write_build(spec, backend, folder, weights=WeightSource(seed=0)),
        TrainerConfig(spec.graph, recipe, group=group, **options),
    )
    losses: list[Any] = []
    for x, y, rate in batches():
        if recipe.accumulate <= len(x):
            own = np.r_[tuple(rank_slices(len(x), recipe.accumulate, group.rank, group.world_size))]
            trainer.step(x[own], y[own], rate, len(x))
            losses.append(trainer.losses())
    return {"losses": losses, "standing": trainer.save(), "device": trainer.device}


def restored(state: TrainState, folder: Path, group: Any) -> dict[str, Any]:
    """What a sharded trainer has, saves and predicts after it took up the state of another."""
    spec, backend = checked(TWO_HEADS), load("torch")
    build = write_build(spec, backend, folder, weights=WeightSource(seed=1))
    recipe = RECIPES["adamw, clipped"]
    x = batches()[0][0]
    trainers: list[Any] = []
    for shard in ("full", "none"):
        assert backend.trainer is not None
        config = TrainerConfig(spec.graph, recipe, group=group, shard=shard)
        trainers.append(backend.trainer(build, config))
        trainers[-1].restore(state)
    sharded, whole = trainers
    predictions = sharded.predict(x) if group.is_main else None  # not a collective
    return {
        "standing": sharded.save(),
        "predictions": (predictions, whole.predict(x)),
        "values": sum(p.to_local().numel() for p in sharded.model.parameters()),
        "of": sum(p.numel() for p in sharded.model.parameters()),
    }


RUN = """archspec: 1
name: small
input: [1, 8, 8]
network:
  - {name: conv, conv: {out: 4, kernel: 3, bias: false}}
  - batch_norm
  - relu
  - flatten
  - {name: fc, linear: {out: 3}}
preprocess: {channels: gray, crop: none}
train: {learning_rate: 0.05, epochs: 2, batch: 10, momentum: 0.9, accumulate: 2}
"""
DEEP = os.environ.get("ARCHSPEC_PROFILE") == "deep"
STOP = 3
"""After so many steps the second process is told to end."""


def ended(spec: Spec, folder: Path, group: Any, data: str, watch: Any = str, **options: Any) -> str:
    """Return how a run ended on this process."""
    try:
        outcome = train_spec(
            spec,
            load("torch"),
            folder,
            TrainOptions(data=data, **options),
            group=group,
            on_event=watch,
        )
        return f"{outcome.progress.step}, {'finished' if outcome.finished else 'stopped'}"
    except Failure as error:
        return error.message
    except SystemExit as error:
        return f"silent {error.code}"


def runs(out: Path, group: Any) -> dict[str, str]:
    def stop(event: Any) -> None:
        if event["kind"] == "step" and event["step"] == STOP and group.rank == 1:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)

    def full(*_: Any) -> Any:
        raise Failure("the disk is full")

    def seen(spec: Spec, name: str, data: str, **options: Any) -> str:
        return ended(spec, out / name, group, str(out / data), **options)

    spec = checked(RUN)
    found = {
        "whole": seen(spec, "whole", "noise.npz"),
        "stopped": seen(spec, "stopped", "noise.npz", watch=stop),
        "sharded": seen(spec, "sharded", "noise.npz", shard="full"),
        "stopped, sharded": seen(spec, "stopped, sharded", "noise.npz", watch=stop, shard="full"),
        "taken": seen(spec, "whole", "noise.npz"),
        "unreadable": seen(spec, "unreadable", "images"),
        "skipped": seen(spec, "skipped", "images", bad_data="skip"),
        "unlike": seen(spec, "unlike", "noise.npz" if group.rank else "other.npz"),
        "otherwise": seen(spec, "otherwise", "noise.npz", log_every=5 + group.rank),
        "diverged": seen(checked(RUN.replace("0.05", "1.0e+30")), "diverged", "noise.npz"),
    }
    if DEEP:
        found["workers"] = seen(spec, "workers", "noise.npz", workers=1)
    loop.write_checkpoint = full
    return found | {"full": seen(spec, "full", "noise.npz")}


def main(out: Path) -> None:
    with join_group(load("torch")) as group:
        here = out / f"{group.rank}"
        here.mkdir()
        found: dict[str, Any] = {
            name: stepped(text, recipe, here / name.replace(", ", "-"), group)
            for name, (text, recipe) in CASES.items()
        }
        dropping = TWO_HEADS.replace("drop: 0.0", "drop: 0.5")
        found["dropped"] = stepped(dropping, Recipe(), here / "dropped", group)
        for name, (text, recipe) in CASES.items():
            folder = here / f"sharded {name.replace(', ', '-')}"
            found[f"{name}, sharded"] = stepped(text, recipe, folder, group, shard="full")
        found["restored"] = restored(found["adamw, clipped"]["standing"], here / "restored", group)
        if DEEP:
            found["compiled"] = stepped(*CASES["sgd"], here / "compiled", group, compile=True)
        found["runs"] = runs(out, group)
    (out / f"{group.rank}.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
