"""The emitted model, loaded, and opened for verification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.random import default_rng
from numpy.typing import NDArray

from archspec.backend.session import (
    ForwardResult,
    Gradients,
    OutputCotangents,
    Precision,
    SessionState,
    SgdConfig,
)
from archspec.codegen.runtime import import_model
from archspec.diagnostics import Failure
from archspec.ir.graph import Graph

Array = NDArray[Any]


def load_model(folder: Path) -> Any:
    """Return the model of a built folder, by the folder's own `model.py`."""
    return import_model(folder).build_model(Path(folder) / "weights.safetensors")


class PlainSession:
    """Implements `archspec.backend.session.Session`, in the modes that `BACKEND` states."""

    def __init__(self, folder: Path, graph: Graph, precision: Precision) -> None:
        self.graph, self.precision = graph, precision
        self.model, self.rng = load_model(folder), default_rng()
        self.restore(self.state())

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        rng = self.rng if dropout else None
        values: dict[str, Array] = self.model.values(x.astype(self.precision), train=train, rng=rng)
        nodes, tensors = self.graph.nodes, self.model.tensors
        heads = [head for head in self.graph.heads if train or not head.train_only]
        outputs = {head.name: values[nodes[head.node].path] for head in heads}
        running_stats = {
            name: tensors[name]
            for name, node, param in self.graph.parameters()
            if train and not param.trainable and node.path in values
        }
        return ForwardResult(outputs, values if return_activations else {}, running_stats)

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        raise Failure("numpy has no gradients")

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        raise Failure("numpy has no gradients")

    def state(self) -> SessionState:
        return SessionState(dict(self.model.tensors))

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        for name, tensor in state.tensors.items():
            self.model.tensors[name] = tensor.astype(self.precision)
