"""The material of the trainer tests: a small network, recipes, batches, the reference trainer.

>>> spec = training_net("mse")
>>> [head.loss for head in spec.graph.heads], len(batches(spec))
(['mse', 'none'], 4)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec._numpy import np
from archspec.backend import Backend
from archspec.backend.trainer import Trainer, TrainerConfig
from archspec.compiler import write_build
from archspec.conformance.layers import load_text
from archspec.conformance.recipes import choices
from archspec.frontend.loader import Spec
from archspec.ir.recipe import Recipe
from archspec.reference.trainer import ReferenceTrainer
from archspec.weights.init import initial_tensors
from archspec.weights.weight_source import WeightSource

_NET = """archspec: 1
name: net
input: [2, 5, 5]
network:
  - {name: one, conv: {out: 4, kernel: 3, bias: false}}
  - {name: bn, batch_norm: {}}
  - {name: act, tanh: , aux: side}
  - {name: unread, conv: {out: 3, kernel: 1}, from: act}
  - {name: rest, flatten: , from: act}
  - dropout: {rate: DROP}
  - {name: two, linear: {out: WIDTH}}
blocks:
  auxiliary: {body: [global_avg_pool, flatten, {name: fc, linear: {out: WIDTH}}]}
heads:
  main: {loss: LOSS}
  side: {block: auxiliary, weight: 0.3, only: train, loss: OTHER}
"""
"""It has all that training treats specially: batch norm, dropout, a layer without bias, a head for
training alone, and a layer that no head reads."""

WIDE_NET = """archspec: 1
name: wide
input: [2, 24, 24]
network:
  - {name: conv, conv: {out: 4, kernel: 3, padding: 1}}
  - {name: prelu, prelu: {}}
  - {name: depthwise, conv: {out: 4, kernel: 3, padding: 1, groups: 4}}
  - name: gate
    multiply:
      all: [identity]
      means: [global_avg_pool, {name: conv, conv: {out: 4, kernel: 1}}, sigmoid]
  - {name: norm, layer_norm: {axes: channels}}
  - {name: up, conv_transpose: {out: 6, kernel: 2, stride: 2}}
  - tanh
  - global_avg_pool
  - flatten
  - {name: fc, linear: {out: 5}}
"""
"""Its gradients are sums over many positions, of values that do not cancel."""

COMBINATIONS = {
    "sgd": Recipe(),
    "momentum": Recipe(momentum=0.9, weight_decay=0.01),
    "nesterov": Recipe(momentum=0.9, nesterov=True, weight_decay=0.01, no_decay=("norm",)),
    "adamw": Recipe(optimizer="adamw", weight_decay=0.1, no_decay=("bias",)),
    "adamw, other fields": Recipe(optimizer="adamw", betas=(0.5, 0.7), eps=1e-2),
    "clipped": Recipe(clip_norm=0.5, label_smoothing=0.1),
    "clipped rarely": Recipe(clip_norm=100.0),
    "in parts": Recipe(accumulate=3, momentum=0.5),
    "polyak": Recipe(average="polyak"),
    "ema": Recipe(average="ema", ema_decay=0.7, optimizer="adamw"),
    "frozen": Recipe(
        freeze=("one.*", "bn.*"), lr_multipliers={"two.*": 3.0, "two.bias": 0.5}, momentum=0.9
    ),
}
"""Choices that meet in real recipes."""

RECIPES: Mapping[str, Recipe] = {
    **COMBINATIONS,
    **{choice.name: choice.recipe for choice in choices()},
}
"""All recipes that a trainer is compared on, by name."""

LEARNING_RATES = (0.1, 0.2, 0.05, 0.1)

Batch = tuple[Any, Any, float]
"""The arguments of a step: samples, their labels, the learning rate."""


def training_net(loss: str = "cross_entropy", *, width: int = 4, drop: float = 0.0) -> Spec:
    """Return the network. Its other head has a loss that takes class labels too, or none."""
    if loss == "mse":
        other = "none"
    else:
        other = "binary_cross_entropy" if width == 1 else "cross_entropy"
    values = {"LOSS": loss, "OTHER": other, "WIDTH": str(width), "DROP": str(drop)}
    text = _NET
    for name, value in values.items():
        text = text.replace(name, value)
    return load_text(text)


def batches(spec: Spec) -> list[Batch]:
    """Return a batch for each of `LEARNING_RATES`, with labels for the main head's loss."""
    rng, main = np.random.default_rng(0), spec.graph.heads[0]
    (width,) = spec.graph.nodes[main.node].shape
    steps: list[Batch] = []
    for rate in LEARNING_RATES:
        x, y = rng.standard_normal((8, *spec.graph.input)), rng.integers(0, max(width, 2), 8)
        steps.append(
            (
                x.astype(np.float32),
                np.eye(width, dtype=np.float32)[y] if main.loss == "mse" else y,
                rate,
            )
        )
    return steps


def open_trainer(
    backend: Backend, folder: Path, spec: Spec, recipe: Recipe, seed: int = 0
) -> Trainer:
    """Return the backend's trainer on a build in that folder, with weights from the seed."""
    assert backend.trainer is not None
    return backend.trainer(
        write_build(
            spec, backend, folder / f"{seed}", weights=WeightSource(seed=seed), record=False
        ),
        TrainerConfig(spec.graph, recipe),
    )


def reference_trainer(spec: Spec, recipe: Recipe) -> ReferenceTrainer:
    """Return the reference trainer, with weights from seed 0."""
    return ReferenceTrainer(TrainerConfig(spec.graph, recipe), initial_tensors(spec.graph, 0))
