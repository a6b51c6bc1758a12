"""A spec's emitted torch model beside the float64 reference: outputs of all heads, moving statistics, gradients."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from archspec.backend import load as load_backend
from archspec.compiler import about
from archspec.graph import Graph
from archspec.op import Run
from archspec.reference import run
from archspec.spec import Spec
from archspec.weights.checkpoint import save
from archspec_torch import attributes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Engine:
    """The model in float64 without dropout, and what it is compared with."""

    graph: Graph
    model: nn.Module
    weights: dict[str, Array]

    @classmethod
    def of(cls, spec: Spec, weights: dict[str, Array]) -> Engine:
        """The model that the emitted source builds with these weights."""
        backend = load_backend("torch")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file, content in backend.emit(spec.graph, about(spec)).items():
                (folder / file).write_bytes(content)
            save(folder / "weights.safetensors", weights)
            model: nn.Module = backend.load(folder)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return cls(spec.graph, model.double(), weights)

    def reference(self, x: Array, train: bool = False) -> dict[str, Array]:
        return run(self.graph, self.weights, x, Run(train=train, dropout=False)).outputs

    def updates(self, x: Array) -> dict[str, Array]:
        """Moving statistics after one batch in train mode, by the reference."""
        return run(self.graph, self.weights, x, Run(train=True, dropout=False)).updates

    def forward(self, x: torch.Tensor, train: bool = False) -> dict[str, torch.Tensor]:
        """The model's outputs by head: those that train mode alone has come last, and are None in eval mode."""
        result: Any = self.model.train(train)(x)
        heads = sorted(self.graph.heads, key=lambda head: head.train_only)
        if not isinstance(result, tuple):
            heads, result = heads[:1], (result,)
        assert len(result) == len(heads)
        return {head.name: y for head, y in zip(heads, result, strict=True) if y is not None}

    def outputs(self, x: Array, train: bool = False) -> dict[str, Array]:
        with torch.no_grad():
            return {name: y.numpy() for name, y in self.forward(torch.from_numpy(x), train).items()}

    def predict(self, x: Array) -> Array:
        """The main output as the backend gives it, computed in float32."""
        self.model.float()
        found: Array = load_backend("torch").predict(self.model, x.astype(np.float32))
        self.model.double()
        return found

    def state(self, updates: dict[str, Array]) -> dict[str, Array]:
        """The model's tensors for these neutral names."""
        found, keys = self.model.state_dict(), attributes(self.graph)
        return {name: found[keys[name]].numpy() for name in updates}

    def gradients(self, x: Array, shares: dict[str, Array], train: bool) -> dict[str, Array]:
        """Of the sum of each output times its share: with respect to the input, named `x`, and every parameter."""
        entering = torch.from_numpy(x.copy()).requires_grad_()
        self.model.zero_grad()
        outputs = self.forward(entering, train)
        total = torch.stack([(outputs[name] * torch.from_numpy(share)).sum() for name, share in shares.items()]).sum()
        total.backward()
        own, keys = dict(self.model.named_parameters()), attributes(self.graph)
        found = {"x": entering.grad}
        found |= {name: own[keys[name]].grad for name, _, param in self.graph.parameters() if param.trainable}
        return {name: np.zeros_like(self.weights.get(name, x)) if g is None else g.numpy() for name, g in found.items()}

    def slope(
        self, x: Array, shares: dict[str, Array], train: bool, name: str, direction: Array, h: float = 1e-4
    ) -> float:
        """The reference's derivative of that sum along a direction of the input or of a tensor, by differences of fourth order."""

        def value(step: float) -> float:
            moved = {**self.weights, "x": x}
            moved[name] = moved[name] + step * direction
            outputs = run(self.graph, moved, moved["x"], Run(train=train, dropout=False)).outputs
            return float(sum((outputs[head] * share).sum() for head, share in shares.items()))

        return (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
