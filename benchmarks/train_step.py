"""A training step of googlenet-torchvision against torchvision's class in a plain loop, on CPU.

Both train three heads. The plain loop runs in float32, channels first, with torch's default
implementation of SGD; ours is the step of `archspec train`. They run in separate processes, because
ours changes the memory allocator's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Figure, alternate_for, at_least, in_subprocess, ratios

SPEC = "googlenet-torchvision"
BATCH = 16
LEARNING_RATE = 1e-3
MOMENTUM = 0.9
WEIGHT_DECAY = 2e-4
SECONDS = 60  # for each figure


def figures() -> Iterator[Figure]:
    for precision, target in (("float32", 1.5), ("bfloat16", 3.0)):
        with in_subprocess(theirs) as plain, in_subprocess(partial(ours, precision)) as trainer:
            times = alternate_for({"theirs": plain, "ours": trainer}, SECONDS, least=5)
        peer, mine = ([1000 * s for s in times[name]] for name in ("theirs", "ours"))
        yield Figure(
            f"step, batch {BATCH}, {precision}, times as fast",
            "ms",
            median(mine),
            at_least(target),
            "torchvision",
            median(peer),
            ratios(peer, mine),
        )


def ours(precision: Any) -> Callable[[], object]:
    from archspec.backend import load as load_backend
    from archspec.backend.trainer import TrainerConfig
    from archspec.compiler import load, write_build
    from archspec.ir.recipe import Recipe

    spec = load(SPEC)
    backend = load_backend("torch")
    assert backend.trainer is not None
    recipe = Recipe(
        learning_rate=LEARNING_RATE,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        precision=precision,
    )
    with TemporaryDirectory() as scratch:
        folder = write_build(spec, backend, Path(scratch) / "model")
        trainer = backend.trainer(folder, TrainerConfig(spec.graph, recipe))
    x, y = samples()

    def call() -> None:
        trainer.step(x, y, LEARNING_RATE)
        trainer.losses()  # waits for the end of the step

    return call


def theirs() -> Callable[[], object]:
    import torch
    from torch.nn import functional as F

    from tests.helpers import torchvision_cpu

    model: Any = torchvision_cpu.load().models.googlenet(
        aux_logits=True, transform_input=False, init_weights=False
    )
    optimizer = torch.optim.SGD(
        model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    x, y = map(torch.as_tensor, samples())

    def call() -> None:
        optimizer.zero_grad()
        main, *heads = (F.cross_entropy(output, y) for output in model(x))
        loss = main + 0.3 * torch.stack(heads).sum()
        loss.backward()
        optimizer.step()
        loss.item()

    return call


def samples() -> tuple[Any, Any]:
    import numpy as np

    x = np.random.default_rng(0).standard_normal((BATCH, 3, 224, 224), np.float32)
    return x, np.arange(BATCH)
