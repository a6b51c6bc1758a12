"""Inference and training of the emitted googlenet-torchvision against torchvision's own class.

Both have the same weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from statistics import median
from typing import Any

from benchmarks.measure import Figure, alternate_for, at_most, ratios

SECONDS = 30  # for each figure


def figures() -> Iterator[Figure]:
    import torch

    from tests.helpers import torchvision_cpu, torchvision_googlenet

    theirs = torchvision_cpu.load().models.googlenet(
        aux_logits=True, transform_input=False, init_weights=False
    )
    models = {"ours": torchvision_googlenet.build(theirs), "theirs": theirs}
    for train, batch, layout in product(
        (False, True), (1, 16), (torch.contiguous_format, torch.channels_last)
    ):
        x = torch.randn(batch, 3, 224, 224).contiguous(memory_format=layout)
        for model in models.values():
            model.train(train).to(memory_format=layout)
        make = _training if train else _inference
        calls = {name: make(model, x) for name, model in models.items()}
        seconds = alternate_for(calls, SECONDS)
        passes = "forward + backward" if train else "forward"
        layout_name = str(layout).removeprefix("torch.")
        mine, peer = ([1000 * s for s in seconds[name]] for name in models)
        yield Figure(
            f"{passes}, batch {batch}, {layout_name}",
            "ms",
            median(mine),
            at_most(1.02),
            "torchvision",
            median(peer),
            ratios(mine, peer),
        )


def _inference(model: Any, x: Any) -> Callable[[], object]:
    import torch

    def call() -> None:
        with torch.inference_mode():
            model(x)

    return call


def _training(model: Any, x: Any) -> Callable[[], object]:
    """Return a training step on all three heads, without the update."""
    import torch

    def call() -> None:
        model.zero_grad()
        torch.stack([output.square().mean() for output in model(x)]).sum().backward()

    return call
