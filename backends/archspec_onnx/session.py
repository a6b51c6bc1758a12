"""A built folder opened for verification: outputs, activations and moved statistics by neutral names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from archspec.backend import Provenance
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
from archspec_onnx.model import MODEL, build_model, value
from archspec_onnx.network import Network, lower_network
from archspec_onnx.runtime import Runner, read_model
from archspec_onnx.tensors import Tensors

Array = NDArray[Any]


class OnnxSession:
    """The folder's own model for the outputs of its mode; the same graph, lowered again, for all else.

    ONNX Runtime differentiates nothing: there are no gradients, and an optimizer's slots are only carried.
    """

    def __init__(self, folder: Path, graph: Graph, precision: Precision) -> None:
        if precision != "float32":
            raise Failure(f"an ONNX model is built in float32, and not in {precision}")
        self.graph, self.folder = graph, folder
        self.weights = Tensors(folder / "weights.safetensors")
        self.tensors = {
            name: self.weights.array(name, param.shape) for name, _, param in graph.parameters()
        }
        self.slots: dict[str, Array] = {}
        self.opset = read_model(folder / MODEL, weights=False).opset_import[0].version
        self._networks: dict[bool, Network] = {}
        self._sessions: dict[tuple[bool, bool], Runner] = {}

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        """Outputs and activations come from a run each: with `dropout`, from draws of their own."""
        network = self._network(train)
        activations = self._activations(x, network, dropout) if return_activations else {}
        wanted = [*network.heads.values(), *network.updates.values()]
        found = self._session(train, False).run(x, wanted, dropout=dropout)
        outputs = dict(zip(network.heads, found, strict=False))
        updates = dict(zip(network.updates, found[len(outputs) :], strict=True))
        if updates:
            self.tensors |= updates
            self._sessions.clear()
        return ForwardResult(outputs, activations, updates)

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        _refuse()

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        _refuse()

    def state(self) -> SessionState:
        return SessionState(dict(self.tensors), dict(self.slots))

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        self.tensors |= {
            name: np.asarray(tensor, np.float32) for name, tensor in state.tensors.items()
        }
        self.slots = dict(state.slots)
        self._sessions.clear()

    def _activations(self, x: Array, network: Network, dropout: bool) -> dict[str, Array]:
        names = list(dict.fromkeys(v for v in network.values.values() if v != network.names.input))
        # No names would mean all outputs.
        computed = (
            self._session(network.train, True).run(x, names, dropout=dropout) if names else []
        )
        found = dict(zip(names, computed, strict=True))
        found[network.names.input] = x.astype(np.float32)
        return {
            self.graph.nodes[index].path: found[v] for index, v in sorted(network.values.items())
        }

    def _network(self, train: bool) -> Network:
        if train not in self._networks:
            self._networks[train] = lower_network(self.graph, self.opset, train)
        return self._networks[train]

    def _session(self, train: bool, keep: bool) -> Runner:
        """A session with the tensors of now; one with everything as outputs keeps engines from fusing layers."""
        if (train, keep) not in self._sessions:
            network = self._network(train)
            model = read_model(self.folder / MODEL, weights=False)
            built = next((entry.value for entry in model.metadata_props if entry.key == "mode"), "")
            if keep or built != ("train" if train else "eval"):
                about = Provenance(title="", spec="", sha256="", summary="", version="")
                model = build_model(network, about, self.weights, self.opset, external=True)
            if keep:
                outputs = {info.name for info in model.graph.output}
                shapes = {
                    v: self.graph.nodes[index].shape for index, v in network.values.items() if index
                }
                more = shapes.keys() - outputs - {network.names.input}
                model.graph.output.extend(value(name, shapes[name]) for name in sorted(more))
            own = {native: self.tensors[name] for name, native in network.names.tensors.items()}
            self._sessions[train, keep] = Runner(model, own)
        return self._sessions[train, keep]


def _refuse() -> NoReturn:
    help = "train with another backend, and build for onnx with the weights that it leaves"
    raise Failure("ONNX Runtime computes no gradients", help)
