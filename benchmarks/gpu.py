"""Training GoogLeNet on a GPU: images per second beside torchvision's class in a plain loop.

Both train three heads in channels last, from arrays in memory, with TF32 in float32. The time of a
step is divided into that in which its arrays reach the GPU and the rest, computing. The matrix peak
is what products of large matrices reach. Without a GPU there are no figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Figure, alternate, at_least, ratios

SPEC = "googlenet-torchvision"
BATCH = 256
STEPS = 10  # that are timed together
ROUNDS = 9
LEARNING_RATE = 1e-3
MOMENTUM = 0.9
SIDE = 8192
"""Of the square matrices whose product is the peak."""
PRECISIONS = ("float32", "bfloat16")

Call = Callable[[], object]


def figures() -> Iterator[Figure]:
    import torch

    if not torch.cuda.is_available():
        print("there is no GPU: skipped")
        return
    # Torch's default in convolutions, and only there.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    with TemporaryDirectory() as scratch:
        for precision in PRECISIONS:
            yield from of_precision(precision, Path(scratch))


def of_precision(precision: str, scratch: Path, device: str = "cuda") -> Iterator[Figure]:
    """Yield the figures of one precision: speed, peak, and where the time of a step goes."""
    x, y = samples()
    trainer = ours(precision, scratch / precision, device)
    calls = {
        "ours": lambda: (_steps(lambda: trainer.step(x, y, LEARNING_RATE)), trainer.losses()),
        "theirs": by_hand(precision, x, y, device),
        "data": lambda: _steps(lambda: (trainer._tensor(x), _wait(device))),
    }
    times = alternate(calls, ROUNDS, warm=2)
    rates = {name: [STEPS * BATCH / s for s in seconds] for name, seconds in times.items()}
    yield Figure(
        f"training, batch {BATCH}, {precision}",
        "images/s",
        median(rates["ours"]),
        at_least(1.0),
        "torchvision",
        median(rates["theirs"]),
        ratios(rates["ours"], rates["theirs"]),
    )
    step, data = (1000 * median(times[name]) / STEPS for name in ("ours", "data"))
    yield Figure(f"data of a step, {precision}", "ms", data, None)
    yield Figure(f"computing of a step, {precision}", "ms", step - data, None)
    peak = matrix_peak(precision, device)
    yield Figure(f"matrix peak, {precision}", "TFLOPS", peak, None)
    reached = median(rates["ours"]) * flops_per_image() / 1e12
    yield Figure(f"reached in training, {precision}", "TFLOPS", reached, None)


def samples() -> tuple[Any, Any]:
    import numpy as np

    x = np.random.default_rng(0).standard_normal((BATCH, 3, 224, 224), np.float32)
    return x, np.arange(BATCH) % 1000


def ours(precision: Any, folder: Path, device: str) -> Any:
    from archspec.backend import load as load_backend
    from archspec.backend.trainer import TrainerConfig
    from archspec.compiler import load, write_build
    from archspec.ir.recipe import Recipe
    from archspec_torch.trainer import TorchTrainer

    spec = load(SPEC)
    recipe = Recipe(learning_rate=LEARNING_RATE, momentum=MOMENTUM, precision=precision)
    build = write_build(spec, load_backend("torch"), folder)
    return TorchTrainer(build, TrainerConfig(spec.graph, recipe, device=device))


def by_hand(precision: str, x: Any, y: Any, device: str) -> Call:
    """Return the plain loop; it moves its batch to the GPU in each step, as ours does."""
    import torch
    from torch.nn import functional as F

    from tests.helpers import torchvision_cpu

    model: Any = torchvision_cpu.load().models.googlenet(
        aux_logits=True, transform_input=False, init_weights=False
    )
    model = model.to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, fused=True)
    images, labels = torch.as_tensor(x), torch.as_tensor(y)

    def step() -> Any:
        batch = images.to(device, non_blocking=True, memory_format=torch.channels_last)
        targets = labels.to(device)
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            outputs = model(batch)
        main, *heads = (F.cross_entropy(output.float(), targets) for output in outputs)
        loss = main + 0.3 * torch.stack(heads).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return lambda: torch.stack([step() for _ in range(STEPS)]).sum().item()


def matrix_peak(precision: str, device: str, side: int = SIDE) -> float:
    """Return the most TFLOPS of ten products of square matrices."""
    import torch

    a, b = (torch.randn(side, side, device=device, dtype=getattr(torch, precision)) for _ in "ab")
    best = 0.0
    for _ in range(10):
        _wait(device)
        started = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
        best = max(best, 2 * side**3 / (time.perf_counter() - started) / 1e12)
    return best


def flops_per_image() -> float:
    """Return the floating-point operations of training on an image: forward, and twice backward."""
    import archspec

    return 3 * 2 * archspec.stats(archspec.load(SPEC)).macs


def _steps(step: Call) -> None:
    for _ in range(STEPS):
        step()


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()
