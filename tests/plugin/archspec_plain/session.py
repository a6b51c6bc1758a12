"""A built folder opened for verification: every layer's value, and the statistics that train mode moves."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
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
from archspec.diagnostics import Failure
from archspec.ir.graph import Graph

Array = NDArray[Any]


def load(folder: Path) -> Any:
    """The model of a built folder, by the folder's own `model.py`: there is no other that could drift away from it."""
    spec = spec_from_file_location("model", Path(folder) / "model.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} holds no model.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build_model(Path(folder) / "weights.safetensors")


class PlainSession:
    """Implements `archspec.backend.session.Session` but for gradients, which `modes` of the backend do not promise."""

    def __init__(self, folder: Path, graph: Graph, precision: Precision) -> None:
        self.graph, self.precision = graph, precision
        self.model, self.rng = load(folder), default_rng()
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
        heads = {head.name: head.node for head in self.graph.heads if train or not head.train_only}
        outputs = {name: values[self.graph.nodes[index].path] for name, index in heads.items()}
        moved = [
            name
            for name, node, param in self.graph.parameters()
            if not param.trainable and node.path in values
        ]
        updates = {name: self.model.tensors[name] for name in moved} if train else {}
        return ForwardResult(outputs, values if return_activations else {}, updates)

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        raise Failure("numpy differentiates nothing")

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        raise Failure("numpy differentiates nothing")

    def state(self) -> SessionState:
        return SessionState(dict(self.model.tensors))

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        self.model.tensors |= {
            name: tensor.astype(self.precision) for name, tensor in state.tensors.items()
        }
