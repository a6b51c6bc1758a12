"""A built folder under verification: outputs, activations, gradients and optimizer steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from archspec.backend.session import (
    BaseSession,
    ForwardResult,
    Gradients,
    OutputCotangents,
    Precision,
    SgdConfig,
)
from archspec.codegen.module_tree import TreeNode
from archspec.ir.graph import Graph
from archspec_torch.group_norm_workaround import work_around_group_norm
from archspec_torch.optimizer import get_slots, set_slots
from archspec_torch.runtime import load_model
from archspec_torch.source import network_parts
from archspec_torch.tensors import as_tuple, to_numpy
from archspec_torch.weights import named_modules, tensor_attributes

Array = NDArray[Any]


class TorchSession(BaseSession):
    """The emitted model, under torch's own autograd and SGD."""

    def __init__(
        self, folder: Path, graph: Graph, precision: Precision, device: str = "cpu"
    ) -> None:
        super().__init__(graph)
        self.dtype: torch.dtype = getattr(torch, precision)
        self.device = torch.device(device)
        self.model: nn.Module = load_model(folder).to(self.device, self.dtype)
        work_around_group_norm(self.model)
        top = network_parts(graph)
        self.attributes = tensor_attributes(graph, top)
        self.modules = list(named_modules(top))
        named = dict(self.model.named_parameters())
        self.parameters = {
            name: named[key] for name, key in self.attributes.items() if key in named
        }
        # The model returns the outputs of train-only heads last.
        self.heads = sorted(graph.heads, key=lambda head: head.train_only)
        self.optimizer: torch.optim.SGD | None = None

    def get_tensors(self) -> dict[str, Array]:
        state = self.model.state_dict()
        return {name: to_numpy(state[key]) for name, key in self.attributes.items()}

    def set_tensors(self, tensors: Mapping[str, Array]) -> None:
        state = {self.attributes[name]: self._tensor(value) for name, value in tensors.items()}
        self.model.load_state_dict(state, strict=False)

    def get_slots(self) -> dict[str, Array]:
        return {} if self.optimizer is None else get_slots(self.optimizer, self.parameters)

    def set_slots(self, slots: Mapping[str, Array]) -> None:
        self.optimizer = None
        if slots:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0)
            set_slots(self.optimizer, SgdConfig(learning_rate=1.0).rule, self.parameters, slots, 1)

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        values: dict[int, Array] = {}
        hooks = list(self._record(values)) if return_activations else []
        try:
            with torch.no_grad():
                outputs = self._outputs(self._tensor(x), train, dropout)
        finally:
            for hook in hooks:
                hook.remove()
        activations = {self.graph.nodes[index].path: values[index] for index in sorted(values)}
        running_stats = self.running_stats() if train else {}
        return ForwardResult(_to_numpy(outputs), activations, running_stats)

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        self.model.zero_grad()
        entering = self._tensor(x).requires_grad_()
        outputs = self._backward(entering, cotangents, train)
        gradients: dict[str, Array] = {}
        for name, _, param in self.graph.parameters():
            if param.trainable:
                gradient = self.parameters[name].grad
                gradients[name] = np.zeros(param.shape) if gradient is None else to_numpy(gradient)
        input_gradient = np.zeros(x.shape) if entering.grad is None else to_numpy(entering.grad)
        return Gradients(outputs, input_gradient, gradients)

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        if not list(self.model.parameters()):  # torch refuses an optimizer without parameters
            self.forward(x, train=True)
            return
        if self.optimizer is None:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=optimizer.learning_rate)
        for group in self.optimizer.param_groups:
            group.update(
                lr=optimizer.learning_rate,
                momentum=optimizer.momentum,
                nesterov=optimizer.nesterov,
                weight_decay=optimizer.weight_decay,
            )
        self.optimizer.zero_grad()
        self._backward(self._tensor(x), cotangents, True)
        for parameter in self.model.parameters():
            if parameter.grad is None:  # torch would leave it out, and its weight decay with it
                parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()  # pyright: ignore[reportUnknownMemberType]

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.tensor(values, dtype=self.dtype, device=self.device)

    def _outputs(
        self, x: torch.Tensor, train: bool, dropout: bool = False
    ) -> dict[str, torch.Tensor]:
        """Run the model; return the outputs by head."""
        self.model.train(train)
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.train(train and dropout)
        result: Any = self.model(x)
        # In eval mode a tuple holds None for train-only heads, or ends before them.
        return {
            head.name: output
            for head, output in zip(self.heads, as_tuple(result), strict=False)
            if output is not None
        }

    def _backward(
        self, x: torch.Tensor, cotangents: OutputCotangents, train: bool
    ) -> dict[str, Array]:
        """Run the model and autograd from the outputs' cotangents; return the outputs."""
        outputs = self._outputs(x, train)
        values = _to_numpy(outputs)
        differentiable = {
            name: value for name, value in cotangents(values).items() if outputs[name].requires_grad
        }
        if differentiable:
            torch.autograd.backward(
                [outputs[name] for name in differentiable],
                [self._tensor(value) for value in differentiable.values()],
            )
        return values

    def _record(self, values: dict[int, Array]) -> Iterator[Any]:
        """Yield hooks on every module that record its inputs and outputs by node index.

        They copy each value at once, before a layer that works in place can overwrite it.
        """

        def record(indices: tuple[int, ...], tensors: Any) -> None:
            for index, tensor in zip(indices, as_tuple(tensors), strict=False):
                if tensor is not None and index not in values:
                    values[index] = to_numpy(tensor)

        def record_inputs(part: TreeNode) -> Callable[[nn.Module, Any], None]:
            return lambda _, inputs: record(part.inputs, inputs)

        def record_outputs(indices: tuple[int, ...]) -> Callable[[nn.Module, Any, Any], None]:
            return lambda _, inputs, result: record(indices, result)

        for path, part in self.modules:
            module = self.model.get_submodule(path)
            yield module.register_forward_pre_hook(record_inputs(part))
            yield module.register_forward_hook(record_outputs(part.outputs))
        head_nodes = tuple(head.node for head in self.heads)
        yield self.model.register_forward_hook(record_outputs(head_nodes))


def _to_numpy(tensors: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    return {name: to_numpy(tensor) for name, tensor in tensors.items()}
