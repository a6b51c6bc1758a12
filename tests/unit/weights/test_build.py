"""Builds from files of weights: of any kind, of the whole network, and of no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import archspec
from archspec import weights
from archspec.frontend.loader import Spec
from archspec.weights import CheckpointError
from archspec.weights.init import initial_tensors
from tests.helpers.specs import checked
from tests.helpers.tensors import TEXT, drawn


@pytest.fixture(scope="module")
def spec() -> Spec:
    return checked(TEXT)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_an_inference_build_takes_a_full_checkpoint(tmp_path: Path, suffix: str) -> None:
    text = TEXT.replace("name: bn, batch_norm: {}", "name: bn, batch_norm: {}, aux: side")
    text += "blocks: {side: {body: [flatten, {name: fc, linear: {out: 5}}]}}\nheads: {side: {block: side, only: train}}\n"
    spec = checked(text)
    tensors = drawn(spec.graph)
    weights.save(tmp_path / f"w{suffix}", tensors, spec)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 6, 6)).astype(np.float32))
    tensors["bn.running_var"][:] = 1.0
    weights.save(tmp_path / f"w{suffix}", tensors, spec)
    full = archspec.build(spec, weights=tmp_path / f"w{suffix}")
    small = archspec.build(spec, weights=tmp_path / f"w{suffix}", optimize="inference")
    assert len(list(small.parameters())) == len(list(full.parameters())) - 2
    with torch.no_grad():
        assert torch.allclose(full(x), small(x), atol=1e-6)
    torch.save(small.state_dict(), tmp_path / "small.pt")
    again = archspec.build(spec, weights=tmp_path / "small.pt", optimize="inference")
    assert all((again.state_dict()[k] == v).all() for k, v in small.state_dict().items())
    with pytest.raises(CheckpointError, match=r"missing: `side\.fc\.weight`"):
        archspec.build(spec, weights=tmp_path / "small.pt")


def test_a_build_refuses_the_checkpoint_of_another_network(spec: Spec, tmp_path: Path) -> None:
    other = checked(TEXT.replace("batch_norm: {}", "batch_norm: {eps: 0.5}"))
    weights.save(tmp_path / "w.safetensors", initial_tensors(other.graph), other)
    with pytest.raises(CheckpointError, match="made for another network, though its tensors fit"):
        archspec.build(spec, weights=tmp_path / "w.safetensors")
    assert archspec.build(spec, weights=tmp_path / "w.safetensors", ignore_spec=True) is not None
    commented = checked("# with a comment\n" + TEXT.replace("name: small", "name: renamed"))
    weights.save(tmp_path / "w.safetensors", initial_tensors(commented.graph), commented)
    assert archspec.build(spec, weights=tmp_path / "w.safetensors") is not None


def test_tensors_that_are_to_be_reinitialised_come_from_the_seed(
    spec: Spec, tmp_path: Path
) -> None:
    tensors = drawn(spec.graph)
    weights.save(tmp_path / "w.safetensors", tensors, spec)
    built = archspec.build(spec, weights=tmp_path / "w.safetensors", seed=3, reinit=["fc.*"])
    expected = tensors | {
        name: value
        for name, value in initial_tensors(spec.graph, 3).items()
        if name.startswith("fc.")
    }
    state = built.state_dict()
    assert {"fc.weight", "fc.bias"} <= expected.keys()
    for name in ("fc.weight", "fc.bias", "bn.running_mean"):
        assert (state[name].numpy() == expected[name]).all(), name
    assert not (state["fc.weight"].numpy() == tensors["fc.weight"]).all()
