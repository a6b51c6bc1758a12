"""Every shipped spec is one network on every backend, and what is emitted runs by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import archspec
from archspec.analysis.stats import stats
from archspec.backend import load as load_backend
from archspec.backend.session import Mode
from archspec.compiler import write_build
from archspec.conformance.compare import compare
from archspec.equivalence import VerifyReport
from archspec.frontend.files import shipped_folder
from archspec.reference import evaluate
from archspec.weights.checkpoint import load_tensors as load_weights
from archspec.weights.weight_source import WeightSource
from tests.helpers import forked

SPECS = sorted(path.stem for path in shipped_folder().glob("*.yaml"))
TARGETS: Sequence[str] = ("torch", "keras", "keras@jax", "onnx")
MODES: Sequence[Mode] = ("eval", "train", "grad", "step")


def assert_one_network(report: VerifyReport, modes: Sequence[Mode], targets: Sequence[str]) -> None:
    """Check that every target did all that it can do, and is within 1e-5 of the reference."""
    report.raise_if_different()
    compared = {(line.target, line.mode) for line in report.lines if line.compared}
    expected = {(target, mode) for target in targets for mode in modes}
    assert compared == expected - {("onnx", "grad"), ("onnx", "step")}
    for line in report.lines:
        if line.quantity != "activations" and line.compared:
            assert line.error <= 1e-5, line
            assert line.compared == line.of or line.quantity == "gradients", line


@pytest.mark.long
@pytest.mark.parametrize("name", SPECS)
def test_it_is_one_network_everywhere(name: str) -> None:
    """Run every mode on every engine, or as much of that as a minute has time for.

    A large network is compared in eval and train mode, and not on JAX, which takes the most time
    and runs the same file as TensorFlow. One that varies another spec is compared in train mode,
    which has all of its layers. One with tens of millions of weights, which take the time, is
    compared on torch alone. `ARCHSPEC_PROFILE=deep` leaves nothing out.
    """
    spec = archspec.load(name)
    assert not spec.warnings
    modes: Sequence[Mode] = MODES
    targets: Sequence[str] = TARGETS
    if os.environ.get("ARCHSPEC_PROFILE") == "deep":
        targets = (*TARGETS, "keras@torch")
    if os.environ.get("ARCHSPEC_PROFILE") != "deep" and stats(spec).macs >= 1e7:
        modes, targets = ("eval", "train"), ("torch", "keras", "onnx")
        if "\nextends: " in (shipped_folder() / f"{name}.yaml").read_text(encoding="utf-8"):
            modes = ("train",)
        if stats(spec).params >= 3e7:
            modes, targets = ("train",), ("torch",)
    assert_one_network(archspec.verify(spec, targets, modes), modes, targets)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_model_py_runs_where_archspec_is_not_installed(backend: str, tmp_path: Path) -> None:
    spec = archspec.load("lenet5")
    folder = write_build(
        spec, load_backend(backend), tmp_path / "lenet5", weights=WeightSource(seed=3)
    )
    script = """
import sys
for name in ("archspec", "archspec_torch", "archspec_keras"):
    sys.modules[name] = None  # importing one is an error from here on
sys.path.insert(0, sys.argv[1])
from model import build_model
model = build_model(sys.argv[1] + "/weights.safetensors")
if hasattr(model, "predict"):
    import numpy as np
    y = model.predict(np.ones((2, 32, 32, 1)), verbose=0)
else:
    import torch
    y = model(torch.ones(2, 1, 32, 32)).double()
print(y.tolist())
"""
    done = forked.run(
        [sys.executable, "-c", script, str(folder)], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    weights = load_weights(folder / "weights.safetensors", spec.graph)
    expected = evaluate(spec.graph, weights, np.ones((2, 1, 32, 32))).outputs["main"]
    compare(np.array(eval(done.stdout)), expected, what="lenet5 on its own")


@pytest.mark.parametrize("backend", ["torch", "keras", "onnx"])
def test_the_same_seed_gives_the_same_files_and_another_does_not(
    backend: str, tmp_path: Path
) -> None:
    spec, engine = archspec.load("lenet5"), load_backend(backend)
    one, two, other = (
        write_build(spec, engine, tmp_path / f"{i}", weights=WeightSource(seed=seed))
        for i, seed in enumerate((1, 1, 2))
    )
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
    assert (one / "weights.safetensors").read_bytes() != (
        other / "weights.safetensors"
    ).read_bytes()


def test_initial_weights_are_the_same_on_every_backend(tmp_path: Path) -> None:
    spec = archspec.load("lenet5")
    files = [
        write_build(spec, load_backend(name), tmp_path / name, weights=WeightSource(seed=5))
        for name in ("torch", "keras", "onnx")
    ]
    first, *others = ((folder / "weights.safetensors").read_bytes() for folder in files)
    assert all(other == first for other in others)
