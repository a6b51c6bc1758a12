"""The loop of `archspec train` against a handwritten loop, Lightning and Keras's `fit`.

All train the same model on the same arrays for one epoch: ours with reports and a checkpoint, the
handwritten loop with nothing but its steps. Lightning is measured if it is installed
(`pip install lightning`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

from benchmarks.measure import Figure, alternate_for, at_most, ratios

SPEC = "googlenet-small"
BATCH = 64
STEPS = 64
LEARNING_RATE = 1e-3
MOMENTUM = 0.9
SECONDS = 60  # for each backend

Call = Callable[[], object]


def figures() -> Iterator[Figure]:
    for backend, peers in (("torch", torch_peers), ("keras", keras_peers)):
        times = alternate_for({"ours": ours(backend), **peers()}, SECONDS, least=7)
        per_step = {name: [1000 * s / STEPS for s in seconds] for name, seconds in times.items()}
        mine = per_step.pop("ours")
        for name, theirs in per_step.items():
            target = at_most(1.03 if name == "by hand" else 1.0)
            yield Figure(
                f"step, {backend}",
                "ms",
                median(mine),
                target,
                name,
                median(theirs),
                ratios(mine, theirs),
            )


def samples() -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH * STEPS, 1, 28, 28), np.float32)
    return x, rng.integers(0, 10, BATCH * STEPS)


def build(backend: str) -> Path:
    from archspec.backend import load as load_backend
    from archspec.compiler import load, write_build

    return write_build(load(SPEC), load_backend(backend), Path(mkdtemp()) / "model")


def ours(backend: str) -> Call:
    from archspec.backend import load as load_backend
    from archspec.backend.trainer import TrainerConfig
    from archspec.compiler import load
    from archspec.ir.document import Preprocess
    from archspec.ir.recipe import Recipe
    from archspec.train.checkpoint import Progress
    from archspec.train.data import Batches, InputTransform
    from archspec.train.data.source import ArraySource
    from archspec.train.loop import LoopConfig, run_loop

    spec = load(SPEC)
    make_trainer = load_backend(backend).trainer
    assert make_trainer is not None
    recipe = Recipe(learning_rate=LEARNING_RATE, momentum=MOMENTUM, epochs=1, batch=BATCH)
    x, y = samples()
    transform = InputTransform(spec.graph.input, Preprocess())
    batches = Batches(ArraySource(x, y, "x"), transform, BATCH, seed=0)
    config = LoopConfig(spec, recipe, Path(mkdtemp()), batches)
    trainer = make_trainer(build(backend), TrainerConfig(spec.graph, recipe))
    return lambda: run_loop(config, trainer, Progress())


def torch_peers() -> dict[str, Call]:
    calls = {"by hand": _torch_by_hand()}
    if find_spec("lightning"):
        calls["Lightning"] = _lightning()
    return calls


def _torch_by_hand() -> Call:
    import torch

    _, loss, optimizer = torch_model()
    x, y = map(torch.as_tensor, samples())

    def epoch() -> None:
        total = torch.zeros(())
        for indices in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            value = loss(x[indices].contiguous(memory_format=torch.channels_last), y[indices])
            value.backward()
            optimizer.step()
            total += value.detach()
        total.item()

    return epoch


def _lightning() -> Call:
    import logging
    import warnings

    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from tests.helpers import torchvision_cpu

    torchvision_cpu.load()  # Lightning imports it
    pytorch: Any = import_module("lightning.pytorch")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    model, loss, optimizer = torch_model()

    base: Any = pytorch.LightningModule

    class Module(base):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: Any) -> Any:
            x, y = batch
            value = loss(x.contiguous(memory_format=torch.channels_last), y)
            self.log("loss", value)
            return value

        def configure_optimizers(self) -> Any:
            return optimizer

    module = Module()
    batches = DataLoader(TensorDataset(*map(torch.as_tensor, samples())), BATCH, shuffle=True)
    quiet: Any = {
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": mkdtemp(),
    }

    def epoch() -> None:
        trainer = pytorch.Trainer(accelerator="cpu", max_epochs=1, log_every_n_steps=20, **quiet)
        trainer.fit(module, batches)

    return epoch


def torch_model(wrap: Callable[[Any], Any] = lambda model: model) -> tuple[Any, Any, Any]:
    """Return the emitted model, its loss over all heads, and a fused SGD optimizer."""
    import torch
    from torch.nn import functional as F

    from archspec_torch.runtime import load_model

    model: Any = load_model(build("torch")).to(memory_format=torch.channels_last).train()
    model = wrap(model)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, fused=True)

    def loss(x: Any, y: Any) -> Any:
        main, *heads = (F.cross_entropy(output, y) for output in model(x))
        return main + 0.3 * sum(heads)

    return model, loss, optimizer


def keras_peers() -> dict[str, Call]:
    return {"by hand": _keras_by_hand(), "fit": _fit()}


def _keras_by_hand() -> Call:
    import numpy as np
    import tensorflow as tf

    model, losses, weights, optimizer = _keras_model()
    x, y = samples()
    x = x.transpose(0, 2, 3, 1).copy()

    def step(x: Any, y: Any) -> Any:
        tape: Any = tf.GradientTape()
        with tape:
            outputs = model(x, training=True)
            value = sum(weights[head] * losses[head](y, outputs[head]) for head in weights)
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    compiled: Any = tf.function(step)

    def epoch() -> None:
        total = 0.0
        for indices in np.split(np.random.default_rng(0).permutation(len(x)), STEPS):
            total += compiled(x[indices], y[indices])
        float(total)

    return epoch


def _fit() -> Call:
    model, losses, weights, optimizer = _keras_model()
    x, y = samples()
    x = x.transpose(0, 2, 3, 1).copy()
    model.compile(optimizer, losses, loss_weights=weights)
    return lambda: model.fit(x, dict.fromkeys(weights, y), BATCH, verbose=0)


def _keras_model() -> tuple[Any, dict[str, Any], dict[str, float], Any]:
    import keras

    from archspec.codegen.runtime import import_model

    folder = build("keras")
    model = import_model(folder).build_model(folder / "weights.safetensors", train=True)
    weights = {"main": 1.0, "aux1": 0.3, "aux2": 0.3}
    losses = {
        head: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for head in weights
    }
    return model, losses, weights, keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)
