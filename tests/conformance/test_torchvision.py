"""The emitted googlenet-torchvision equals torchvision's GoogLeNet: names, outputs, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import archspec
from archspec.conformance.compare import compare, compare_all
from archspec_torch.layout import state_dict_keys
from tests.helpers import torchvision_cpu
from tests.helpers.torchvision_googlenet import SPEC, build, neutral, tensors

HEADS = {"main": "logits", "aux1": "aux_logits1", "aux2": "aux_logits2"}
"""Our heads, and what torchvision calls their outputs."""


@pytest.fixture(scope="module")
def theirs() -> Any:
    """torchvision's class with its own random weights and with random moving statistics; dropout
    is off, for the two draw their masks in different orders.
    """
    torch.manual_seed(0)
    model = torchvision_cpu.load().models.googlenet(
        aux_logits=True, transform_input=False, init_weights=False
    )
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            moving: Any = part
            for tensor in (moving.weight, moving.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            for tensor in (moving.bias, moving.running_mean):
                nn.init.normal_(tensor, std=0.2)
    return _without_dropout(model)


@pytest.fixture
def ours(theirs: Any) -> Any:
    return _without_dropout(build(theirs))


@pytest.fixture(scope="module")
def batch() -> Tensor:
    return torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))


def _without_dropout(model: nn.Module) -> nn.Module:
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return model


def _trained(theirs: Any, ours: Any, batch: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return their outputs and ours in train mode, by head; running statistics move in both."""
    expected, found = theirs.train()(batch), ours.train()(batch)
    assert expected._fields == ("logits", "aux_logits2", "aux_logits1")
    return {head: getattr(expected, name) for head, name in HEADS.items()}, {
        h: getattr(found, h) for h in HEADS
    }


def test_every_tensor_has_a_neutral_name(theirs: Any) -> None:
    spec = archspec.load(SPEC)
    wanted = {name: param.shape for name, _, param in spec.graph.parameters()}
    assert {name: tensor.shape for name, tensor in tensors(theirs).items()} == wanted


def test_eval_mode_gives_the_same_logits(theirs: Any, ours: Any, batch: Tensor) -> None:
    with torch.inference_mode():
        compare(ours.eval()(batch), theirs.eval()(batch), what="logits")


def test_train_mode_gives_the_same_three_outputs(theirs: Any, ours: Any, batch: Tensor) -> None:
    with torch.no_grad():
        expected, found = _trained(theirs, ours, batch)
    compare_all(found, expected, what="head")
    # The two auxiliary heads are told apart: exchanged, they would not pass.
    with pytest.raises(AssertionError, match="head aux1"):
        compare_all({**found, "aux1": found["aux2"], "aux2": found["aux1"]}, expected, what="head")


def test_train_mode_moves_the_statistics_alike(theirs: Any, ours: Any, batch: Tensor) -> None:
    before = {
        name: tensor.copy() for name, tensor in tensors(theirs).items() if ".running_" in name
    }
    with torch.no_grad():
        _trained(theirs, ours, batch)
    names, state = state_dict_keys(archspec.load(SPEC).graph), ours.state_dict()
    expected = {name: tensor for name, tensor in tensors(theirs).items() if name in before}
    assert not any(np.array_equal(expected[name], before[name]) for name in before)
    compare_all({name: state[names[name]] for name in expected}, expected, what="statistics")


def test_backward_gives_every_parameter_the_same_gradient(
    theirs: Any, ours: Any, batch: Tensor
) -> None:
    names = state_dict_keys(archspec.load(SPEC).graph)
    generator = torch.Generator().manual_seed(2)
    outer = {head: torch.randn(2, 1000, generator=generator) for head in HEADS}
    for outputs in _trained(theirs, ours, batch):
        torch.autograd.backward(list(outputs.values()), [outer[head] for head in outputs])
    expected = {
        neutral(name): parameter.grad.numpy() for name, parameter in theirs.named_parameters()
    }
    found = dict(ours.named_parameters())
    assert {names[name] for name in expected} == set(found)
    compare_all(
        {name: found[names[name]].grad.numpy() for name in expected}, expected, what="gradient of"
    )
    theirs.zero_grad()
