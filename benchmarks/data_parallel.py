"""A training step of two processes against `DistributedDataParallel` in a handwritten loop, on CPU.

Both train the same model on the same shares of the same batches, over Gloo, a thread a process.
Torch has no batch norm over processes on CPUs, so that both have ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Figure, alternate, at_most, process, ratios
from benchmarks.train_loop import LEARNING_RATE, MOMENTUM, SPEC

PROCESSES = 2
BATCH = 64  # of both processes together
STEPS = 4  # that are timed together
ROUNDS = 11

Call = Callable[[], object]


def figures() -> Iterator[Figure]:
    options = ("--standalone", f"--nproc-per-node={PROCESSES}")
    launcher = (sys.executable, "-m", "torch.distributed.run", *options)
    times = json.loads(process((*launcher, "-m", "benchmarks.data_parallel")).output)
    mine, theirs = ([1000 * s / STEPS for s in times[name]] for name in ("ours", "by hand"))
    yield Figure(
        f"step, torch, {PROCESSES} processes",
        "ms",
        median(mine),
        at_most(1.03),
        "DDP by hand",
        median(theirs),
        ratios(mine, theirs),
    )


def main() -> None:
    """Measure on one of the processes; the first prints the seconds of all rounds."""
    import numpy as np

    from archspec.backend import load as load_backend
    from archspec.train.distributed import join_group

    with join_group(load_backend("torch")) as group:
        rng = np.random.default_rng(group.rank)
        share = BATCH // PROCESSES
        x = rng.standard_normal((share, 1, 28, 28), np.float32)
        y = rng.integers(0, 10, share)
        with TemporaryDirectory() as scratch:
            calls = {"ours": ours(Path(scratch), group, x, y), "by hand": by_hand(x, y)}
        times = alternate(calls, ROUNDS, warm=2)
        if group.is_main:
            print(json.dumps(times))


def ours(scratch: Path, group: Any, x: Any, y: Any) -> Call:
    from archspec.backend import load as load_backend
    from archspec.backend.trainer import TrainerConfig
    from archspec.compiler import load, write_build
    from archspec.ir.recipe import Recipe
    from archspec.train.distributed import fail_together

    spec, backend = load(SPEC), load_backend("torch")
    assert backend.trainer is not None
    recipe = Recipe(learning_rate=LEARNING_RATE, momentum=MOMENTUM, batch=BATCH)
    folder = write_build(spec, backend, scratch / "model")
    trainer = backend.trainer(folder, TrainerConfig(spec.graph, recipe, device="cpu", group=group))

    def call() -> None:
        for _ in range(STEPS):
            with fail_together(group):  # as in the loop of `archspec train`
                pass
            trainer.step(x, y, LEARNING_RATE, BATCH)
        trainer.losses()

    return call


def by_hand(x: Any, y: Any) -> Call:
    import torch
    from torch.nn.parallel import DistributedDataParallel

    from archspec_torch.sync_batch_norm import synchronize_batch_norms
    from benchmarks.train_loop import torch_model

    device = torch.device("cpu")
    model, loss, optimizer = torch_model(
        lambda model: DistributedDataParallel(synchronize_batch_norms(model, device))
    )
    batch = torch.as_tensor(x).contiguous(memory_format=torch.channels_last), torch.as_tensor(y)
    model.train()

    def call() -> None:
        total = torch.zeros(())
        for _ in range(STEPS):
            optimizer.zero_grad()
            value = loss(*batch)
            value.backward()
            optimizer.step()
            total += value.detach()
        total.item()

    return call


if __name__ == "__main__":
    main()
