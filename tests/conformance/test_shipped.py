"""Every shipped spec: what torch computes with the emitted source is what the float64 reference computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import archspec
from archspec.backend import load as load_backend
from archspec.compiler import write
from archspec.conformance.compare import compare
from archspec.op import Run
from archspec.reference import run
from archspec.spec.files import shipped
from archspec.weights.checkpoint import load as load_weights

SPECS = sorted(path.stem for path in shipped().glob("*.yaml"))


@pytest.mark.parametrize("name", SPECS)
def test_the_emitted_model_computes_the_reference(name: str, tmp_path: Path) -> None:
    import torch

    spec = archspec.load(name)
    assert not spec.warnings
    backend = load_backend("torch")
    folder = write(spec, backend, tmp_path / name, seed=1)
    weights = load_weights(folder / "weights.safetensors", spec.graph)
    x = np.random.default_rng(0).standard_normal((1, *spec.graph.input)).astype(np.float32)
    model = backend.load(folder)
    expected = run(spec.graph, weights, x).outputs["main"]
    compare(backend.predict(model, x), expected, what=f"{name}, eval")

    rest = [head.name for head in spec.graph.heads if head.train_only]
    if rest:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        # In double, since a batch of two leaves little of float32 after batch norm's differences.
        batch = np.concatenate([x, -x]).astype(np.float64)
        with torch.no_grad():
            outputs = model.double().train()(torch.from_numpy(batch))
        expected = run(spec.graph, weights, batch, Run(train=True, dropout=False)).outputs
        assert list(outputs._fields) == list(expected) == ["main", *rest]
        for head in expected:
            compare(getattr(outputs, head).numpy(), expected[head], bound=1e-9, what=f"{name}, train, {head}")


def test_model_py_runs_where_archspec_is_not_installed(tmp_path: Path) -> None:
    spec = archspec.load("lenet5")
    folder = write(spec, load_backend("torch"), tmp_path / "lenet5", seed=3)
    script = """
import sys
sys.modules["archspec"] = sys.modules["archspec_torch"] = None  # importing either is an error from here on
sys.path.insert(0, sys.argv[1])
import torch
from model import build_model
model = build_model(sys.argv[1] + "/weights.safetensors")
assert not model.training
print(model(torch.ones(2, 1, 32, 32)).double().tolist())
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    weights = load_weights(folder / "weights.safetensors", spec.graph)
    expected = run(spec.graph, weights, np.ones((2, 1, 32, 32))).outputs["main"]
    compare(np.array(eval(done.stdout)), expected, what="lenet5 on its own")


def test_the_same_seed_gives_the_same_files_and_another_does_not(tmp_path: Path) -> None:
    spec, backend = archspec.load("lenet5"), load_backend("torch")
    one, two, other = (write(spec, backend, tmp_path / f"{i}", seed=seed) for i, seed in enumerate((1, 1, 2)))
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()
    assert (one / "weights.safetensors").read_bytes() != (other / "weights.safetensors").read_bytes()
