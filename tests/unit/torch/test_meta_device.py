"""Every tensor that a step makes is on the device of its input, tried on `meta`: no GPU is needed."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given

import archspec
from archspec.backend.trainer import TrainerConfig
from archspec.compiler import write_build
from archspec.conformance.layers import layer_spec, layers, load_text
from archspec.conformance.training import RECIPES, batches, training_net
from archspec.frontend.files import shipped_folder
from archspec.ir.graph import Graph
from archspec.ir.types import Shape
from archspec.ops import OPS
from archspec_torch import BACKEND, optimizer, trainer
from archspec_torch.tensors import as_tuple
from tests.helpers.effort import examples
from tests.helpers.emitted import run_source, source
from tests.helpers.meta_device import OneDevice, tensors
from tests.unit.torch.test_lowerings import CASES

SPECS = sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def run(graph: Graph, *modes: bool) -> int:
    """Run the emitted module forward and backward on `meta`; return the operations that it took."""
    module = run_source(source(graph))
    with torch.device("meta"):
        model = module.build_model()
    x = torch.empty(2, *graph.input, device="meta", requires_grad=True)
    with OneDevice("meta") as watched:
        for training in modes:
            outputs = as_tuple(model.train(training)(x))
            torch.stack([output.sum() for output in outputs if output is not None]).sum().backward()
    assert x.grad is not None
    assert all(tensor.is_meta for tensor in tensors(model).values())
    return watched.operations


@pytest.mark.parametrize("kind", OPS)
def test_what_a_layer_makes_is_on_its_inputs_device(kind: str) -> None:
    @examples(4)
    @given(layers(kind))
    def holds(text: str) -> None:
        assert run(load_text(text).graph, False, True)

    holds()


@pytest.mark.parametrize(("kind", "fields", "shape", "_"), CASES)
def test_each_spelling_of_a_layer_is_on_its_inputs_device(
    kind: str, fields: dict[str, object], shape: Shape, _: str
) -> None:
    assert run(load_text(layer_spec(kind, fields, shape)).graph, True)


@pytest.mark.parametrize("name", SPECS)
def test_what_a_network_makes_is_on_its_inputs_device(name: str) -> None:
    graph = archspec.load(name).graph
    assert run(graph, True) > len(graph.nodes)


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainers compute on `meta`, which has neither autocast nor torch's fused optimizers."""
    monkeypatch.setattr(trainer, "_select_device", lambda _: torch.device("meta"))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    for name in ("SGD", "AdamW"):
        plain = partial(getattr(torch.optim, name), fused=False)
        monkeypatch.setattr(
            optimizer.torch.optim,
            name,
            lambda *args, plain=plain, fused, **kwargs: plain(*args, **kwargs),
        )


STEPS = {
    name: RECIPES[name] for name in ("nesterov", "adamw", "clipped", "in parts", "ema", "frozen")
}


@pytest.mark.usefixtures("on_meta")
@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse"])
@pytest.mark.parametrize("name", STEPS)
def test_what_a_step_makes_is_on_the_devices(name: str, loss: str, tmp_path: Path) -> None:
    spec = training_net(loss, drop=0.5)
    folder = write_build(spec, BACKEND, tmp_path / "net")
    trained = trainer.TorchTrainer(folder, TrainerConfig(spec.graph, STEPS[name]))
    trained.model.train()
    for x, y, rate in batches(spec)[:2]:
        with OneDevice("meta") as watched:
            trained._compute_gradients(x, y, len(x))
        assert watched.operations
        trained._update(rate)  # plain AdamW counts its steps on the CPU
        trained.updates += 1
        with OneDevice("meta"):
            trained._update_average()
    states = [value for state in trained.optimizer.state.values() for value in state.values()]
    everything = [*tensors(trained.model).values(), *states, *trained.loss_sums.values()]
    assert all(tensor.is_meta for tensor in everything if tensor is not None and tensor.ndim)


def test_a_tensor_made_elsewhere_is_seen() -> None:
    x = torch.empty(2, device="meta")
    for other in (lambda: torch.ones(()), lambda: torch.tensor(1.0)):
        with pytest.raises(AssertionError, match="has a tensor on cpu"), OneDevice("meta"):
            torch.add(x, other())
