"""A built folder under verification: outputs, activations and running statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from archspec.backend import Provenance
from archspec.backend.session import (
    BaseSession,
    ForwardResult,
    Gradients,
    OutputCotangents,
    Precision,
    SgdConfig,
)
from archspec.diagnostics import Failure
from archspec.ir.graph import Graph
from archspec_onnx.model import MODEL_FILE, build_model, value_info
from archspec_onnx.network import LoweredNetwork, lower_network
from archspec_onnx.runtime import Runner, read_model
from archspec_onnx.tensors import CheckpointTensors

Array = NDArray[Any]


class OnnxSession(BaseSession):
    """The folder's own model for outputs in its mode; the graph, lowered again, for the rest.

    ONNX Runtime computes no gradients: slots are stored and returned, and nothing else.
    """

    def __init__(self, folder: Path, graph: Graph, precision: Precision) -> None:
        super().__init__(graph)
        if precision != "float32":
            raise Failure(f"an ONNX model is built in float32, and not in {precision}")
        self.folder = folder
        self.checkpoint = CheckpointTensors(folder / "weights.safetensors")
        self.tensors: dict[str, Array] = {
            name: self.checkpoint.array(name, param.shape) for name, _, param in graph.parameters()
        }
        self.opset = read_model(folder / MODEL_FILE, weights=False).opset_import[0].version
        self._networks: dict[bool, LoweredNetwork] = {}
        self._runners: dict[tuple[bool, bool], Runner] = {}

    def get_tensors(self) -> dict[str, Array]:
        return dict(self.tensors)

    def set_tensors(self, tensors: Mapping[str, Array]) -> None:
        self.tensors |= {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}
        self._runners.clear()

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        """Run outputs and activations separately: with `dropout`, each run draws its own masks."""
        network = self._network(train)
        activations = self._activations(x, network, dropout) if return_activations else {}
        names = [*network.heads.values(), *network.running_stats.values()]
        values = self._runner(train, False).run(x, names, dropout=dropout)
        outputs = dict(zip(network.heads, values, strict=False))
        running_stats = dict(zip(network.running_stats, values[len(outputs) :], strict=True))
        if running_stats:
            self.set_tensors(running_stats)
        return ForwardResult(outputs, activations, running_stats)

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        _raise_no_gradients()

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        _raise_no_gradients()

    def _activations(self, x: Array, network: LoweredNetwork, dropout: bool) -> dict[str, Array]:
        """Return the value of each lowered node, by path."""
        input_name = network.names.input
        names = [name for name in dict.fromkeys(network.values.values()) if name != input_name]
        computed: list[Array] = []
        if names:  # without names, ONNX Runtime would return all outputs
            computed = self._runner(network.train, True).run(x, names, dropout=dropout)
        by_name = dict(zip(names, computed, strict=True))
        by_name[input_name] = x.astype(np.float32)
        return {
            self.graph.nodes[index].path: by_name[name]
            for index, name in sorted(network.values.items())
        }

    def _network(self, train: bool) -> LoweredNetwork:
        if train not in self._networks:
            self._networks[train] = lower_network(self.graph, self.opset, train)
        return self._networks[train]

    def _runner(self, train: bool, all_values: bool) -> Runner:
        """Return a runner with the current tensors; with `all_values`, every value is an output.

        That is a model of its own: further outputs keep engines from fusing layers.
        """
        if (train, all_values) not in self._runners:
            network = self._network(train)
            model = read_model(self.folder / MODEL_FILE, weights=False)
            if all_values or _mode_of(model) != ("train" if train else "eval"):
                provenance = Provenance(title="", spec="", sha256="", summary="", version="")
                model = build_model(network, provenance, self.checkpoint, self.opset, external=True)
            if all_values:
                self._add_outputs(model, network)
            initializers = {
                native: self.tensors[name] for name, native in network.names.tensors.items()
            }
            self._runners[train, all_values] = Runner(model, initializers)
        return self._runners[train, all_values]

    def _add_outputs(self, model: ModelProto, network: LoweredNetwork) -> None:
        """Make every value of the network an output of its model."""
        outputs = {info.name for info in model.graph.output}
        shapes = {
            name: self.graph.nodes[index].shape for index, name in network.values.items() if index
        }
        missing = shapes.keys() - outputs - {network.names.input}
        model.graph.output.extend(value_info(name, shapes[name]) for name in sorted(missing))


def _mode_of(model: ModelProto) -> str:
    """Return the mode that a model was built for, from its metadata."""
    return next((entry.value for entry in model.metadata_props if entry.key == "mode"), "")


def _raise_no_gradients() -> NoReturn:
    help = "train with another backend, and build for onnx with the weights that it leaves"
    raise Failure("ONNX Runtime computes no gradients", help)
