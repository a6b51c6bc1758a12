"""A built folder opened for verification and training: outputs, activations, gradients and steps by neutral names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from archspec.backend.session import (
    ForwardResult,
    Gradients,
    OutputCotangents,
    Precision,
    SessionState,
    SgdConfig,
    slot_name,
)
from archspec.codegen.module_tree import TreeNode
from archspec.ir.graph import Graph
from archspec_torch.group_norm_workaround import guard
from archspec_torch.runtime import load
from archspec_torch.source import network_parts
from archspec_torch.weights import modules, tensor_attributes

Array = NDArray[Any]


class TorchSession:
    """The emitted model; its dropout stays in eval mode unless it is asked for."""

    def __init__(self, folder: Path, graph: Graph, precision: Precision) -> None:
        self.graph, self.dtype = graph, getattr(torch, precision)
        self.model: nn.Module = load(folder).to(self.dtype)
        guard(self.model)
        top = network_parts(graph)
        self.attributes = tensor_attributes(graph, top)
        self.parts = list(modules(top))
        self.optimizer: torch.optim.SGD | None = None

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        seen: dict[int, Array] = {}
        hooks = list(self._watch(seen)) if return_activations else []
        try:
            with torch.no_grad():
                outputs = self._outputs(self._tensor(x), train, dropout)
        finally:
            for hook in hooks:
                hook.remove()
        activations = {self.graph.nodes[index].path: seen[index] for index in sorted(seen)}
        tensors = self.state().tensors if train else {}
        ran = self.graph.reachable(self.graph.heads)
        moving = {
            name
            for name, node, param in self.graph.parameters()
            if not param.trainable and node.index in ran
        }
        return ForwardResult(
            _arrays(outputs),
            activations,
            {name: tensors[name] for name in tensors if name in moving},
        )

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        self.model.zero_grad()
        entering = self._tensor(x).requires_grad_()
        outputs = self._backward(entering, cotangents, train)
        found: dict[str, Array] = {}
        own = dict(self.model.named_parameters())
        for name, _, param in self.graph.parameters():
            if param.trainable:
                gradient = own[self.attributes[name]].grad
                found[name] = np.zeros(param.shape) if gradient is None else _array(gradient)
        input = np.zeros(x.shape) if entering.grad is None else _array(entering.grad)
        return Gradients(outputs, input, found)

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        if not list(self.model.parameters()):  # torch's optimizers refuse to have nothing to do
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

    def state(self) -> SessionState:
        kept = self.model.state_dict()
        tensors = {name: _array(kept[key]) for name, key in self.attributes.items()}
        slots: dict[str, Array] = {}
        if self.optimizer is not None:
            own = dict(self.model.named_parameters())
            for name, key in self.attributes.items():
                buffer = (
                    self.optimizer.state.get(own[key], {}).get("momentum_buffer")
                    if key in own
                    else None
                )
                if buffer is not None:
                    slots[slot_name(name, "momentum")] = _array(buffer)
        return SessionState(tensors, slots)

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        own = {self.attributes[name]: self._tensor(value) for name, value in state.tensors.items()}
        self.model.load_state_dict(own, strict=False)
        self.optimizer = None
        if state.slots:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0)
            parameters = dict(self.model.named_parameters())
            for name, key in self.attributes.items():
                if (slot := slot_name(name, "momentum")) in state.slots:
                    self.optimizer.state[parameters[key]]["momentum_buffer"] = self._tensor(
                        state.slots[slot]
                    )

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.tensor(values, dtype=self.dtype)

    def _outputs(
        self, x: torch.Tensor, train: bool, dropout: bool = False
    ) -> dict[str, torch.Tensor]:
        """By head; those that train mode alone has come last, and are None in eval mode."""
        self.model.train(train)
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.train(train and dropout)
        result: Any = self.model(x)
        heads = sorted(self.graph.heads, key=lambda head: head.train_only)
        return {
            head.name: y for head, y in zip(heads, _several(result), strict=False) if y is not None
        }

    def _backward(self, x: torch.Tensor, pull: OutputCotangents, train: bool) -> dict[str, Array]:
        outputs = self._outputs(x, train)
        found = _arrays(outputs)
        shares = {name: share for name, share in pull(found).items() if outputs[name].requires_grad}
        if shares:
            torch.autograd.backward(
                [outputs[name] for name in shares],
                [self._tensor(share) for share in shares.values()],
            )
        return found

    def _watch(self, seen: dict[int, Array]) -> Iterator[Any]:
        """Hooks on every module that keep what it reads and gives, before anything can overwrite it."""

        def keep(indices: tuple[int, ...], values: Any) -> None:
            for index, value in zip(indices, _several(values), strict=False):
                seen.setdefault(index, _array(value))

        def entering(part: TreeNode) -> Callable[[nn.Module, Any], None]:
            return lambda _, given: keep(part.inputs, given)

        def leaving(part: TreeNode) -> Callable[[nn.Module, Any, Any], None]:
            return lambda _, given, result: keep(part.outputs, result)

        for path, part in self.parts:
            module = self.model.get_submodule(path)
            yield module.register_forward_pre_hook(entering(part))
            yield module.register_forward_hook(leaving(part))
        index = {head.name: head.node for head in self.graph.heads}
        order = tuple(
            index[h.name] for h in sorted(self.graph.heads, key=lambda head: head.train_only)
        )

        def outputs(_: nn.Module, given: Any, result: Any) -> None:
            for index, value in zip(order, _several(result), strict=False):
                if value is not None:
                    keep((index,), value)

        yield self.model.register_forward_hook(outputs)


def _several(values: Any) -> tuple[Any, ...]:
    return cast("tuple[Any, ...]", values) if isinstance(values, tuple) else (values,)


def _array(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().numpy().copy()


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, Array]:
    return {name: _array(value) for name, value in tensors.items()}
