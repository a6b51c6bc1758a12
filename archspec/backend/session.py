"""A built model under verification: forward pass, gradients, optimizer step, tensors in and out.

`Backend.open` returns a `Session`. The float64 reference in `archspec/reference/session.py` is one
too, so that each backend is compared with it. All names are portable, all layouts portable, and
batches are [N, *input] with channels first, whatever the framework prefers.

>>> SgdConfig(learning_rate=0.1, momentum=0.9).rule.slots
('momentum',)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from archspec._numpy import Array
from archspec.backend.optimizer import SGD
from archspec.diagnostics import Failure, quote
from archspec.ir.graph import Graph
from archspec.ir.types import Shape, format_shape

Mode = Literal["eval", "train", "grad", "step"]
"""The thing compared: outputs in eval mode or in train mode, gradients, tensors after a step."""

Precision = Literal["float32", "float64"]


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """The values of a forward pass."""

    outputs: dict[str, Array]
    """By head, [N, *output]; the heads with `only: train` are there in train mode alone."""
    activations: dict[str, Array]
    """By node path, [N, *shape of the node]; empty unless asked for."""
    running_stats: dict[str, Array]
    """The running statistics after the pass, by tensor name; empty in eval mode."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """The derivatives of a loss."""

    outputs: dict[str, Array]
    """The outputs of the forward pass, by head."""
    input: Array
    """The derivative with respect to the input, [N, *input]."""
    tensors: dict[str, Array]
    """The derivative with respect to every trainable tensor, by name; zeros if unused."""


OutputCotangents = Callable[[Mapping[str, "Array"]], Mapping[str, "Array"]]
"""A loss, as differentiation needs it: a function from the outputs by head to the loss's derivative
with respect to each of them. A head that is left out does not enter the loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SgdConfig:
    """A step of stochastic gradient descent; the weight decay applies to every trainable tensor."""

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    @property
    def rule(self) -> SGD:
        """The update rule of a tensor."""
        return SGD(self.momentum, self.nesterov)

    def apply(
        self,
        tensors: Mapping[str, Array],
        gradients: Mapping[str, Array],
        slots: Mapping[str, Array],
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return tensors and slots after a step, by the definition in numpy.

        `slots` is empty before the first step. Tensors without a gradient stay as they are.
        """
        new_tensors = dict(tensors)
        new_slots = dict(slots)
        for name, gradient in gradients.items():
            keys = {slot: slot_name(name, slot) for slot in self.rule.slots}
            new_tensors[name], tensor_slots = self.rule.step(
                tensors[name],
                gradient,
                {slot: slots[key] for slot, key in keys.items() if key in slots},
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                update=1,
            )
            new_slots |= {keys[slot]: value for slot, value in tensor_slots.items()}
        return new_tensors, new_slots


def slot_name(tensor: str, slot: str) -> str:
    """Return the name of a tensor's optimizer slot; no tensor has a name with `@`.

    >>> slot_name("conv.weight", "momentum")
    'conv.weight@momentum'
    """
    return f"{tensor}@{slot}"


@dataclass(frozen=True, slots=True)
class SessionState:
    """The state that training continues from."""

    tensors: dict[str, Array]
    """By portable name, in the portable layout."""
    slots: dict[str, Array] = field(default_factory=dict[str, Any])
    """By `slot_name`, each of its tensor's shape; empty before the first step."""

    def check(self, graph: Graph) -> None:
        """Raise ValueError for a tensor or slot that is not the graph's, or is of another shape.

        Tensors may be missing. A slot has to be one of a trainable tensor.
        """
        params = {name: param for name, _, param in graph.parameters()}
        shapes = {name: params[name].shape for name in self.tensors if name in params}
        _check_shapes(self.tensors, shapes, "no tensor of this network")
        slot_shapes = {
            slot: params[name].shape
            for slot in self.slots
            if (name := slot.rpartition("@")[0]) in params and params[name].trainable
        }
        _check_shapes(self.slots, slot_shapes, "a slot of no trainable tensor of this network")


def _check_shapes(values: Mapping[str, Array], shapes: Mapping[str, Shape], unknown: str) -> None:
    for name, value in values.items():
        if name not in shapes:
            raise ValueError(f"{quote(name)} is {unknown}")
        if value.shape != shapes[name]:
            expected = format_shape(shapes[name])
            raise ValueError(f"{quote(name)} is {expected}, found {format_shape(value.shape)}")


class Session(Protocol):
    """A built model that runs. `BaseSession` implements what does not depend on the framework."""

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        """Run the model on a batch.

        Args:
            x: The batch, [N, *input], float32 or float64.
            train: Normalise by the batch's statistics, move the running ones as training does,
                and compute the heads with `only: train` too.
            return_activations: Also return the nodes' values. A backend leaves out those that its
                model does not expose; a difference is traced to the first one that differs.
            dropout: In train mode, drop as in training, with new random masks in each call. Eval
                mode never drops.
        """
        ...

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        """Differentiate a loss on the batch x [N, *input], without dropout.

        `cotangents` is called once, with the outputs. In train mode the running statistics move.
        Raise `Failure` if the backend has no mode `grad`.
        """
        ...

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        """Take one optimizer step on the batch x [N, *input], in train mode, without dropout.

        Slots carry over from one call to the next. Raise `Failure` without the mode `step`.
        """
        ...

    def state(self) -> SessionState:
        """Return copies of all tensors and slots, in the session's precision."""
        ...

    def restore(self, state: SessionState) -> None:
        """Set tensors and slots.

        Tensors that are missing keep their values; slots that are missing are as before the first
        step. If `SessionState.check` raises ValueError, nothing changes.
        """
        ...


class BaseSession(ABC):
    """A `Session` built on four methods, which a backend writes for its framework.

    Required are `get_tensors`, `set_tensors` and `forward`; `gradients` if the backend has the
    modes `grad` and `step`. `step` is then the definition in numpy. A backend that trains by its
    framework's own optimizer overrides `step`, `get_slots` and `set_slots`, so that verification
    sees what training does.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._slots: dict[str, Array] = {}

    @abstractmethod
    def get_tensors(self) -> dict[str, Array]:
        """Return copies of all tensors of the graph, by portable name, in portable layouts."""

    @abstractmethod
    def set_tensors(self, tensors: Mapping[str, Array]) -> None:
        """Set some tensors, given as `get_tensors` returns them; names and shapes are checked."""

    @abstractmethod
    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        """Run the model on a batch, as `Session.forward` says."""

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        """Differentiate a loss, as `Session.gradients` says; the default raises `Failure`."""
        raise Failure("this backend's models cannot be differentiated")

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        gradients = self.gradients(x, cotangents).tensors
        tensors, slots = optimizer.apply(self.get_tensors(), gradients, self.get_slots())
        self.set_tensors(tensors)
        self.set_slots(slots)

    def state(self) -> SessionState:
        return SessionState(self.get_tensors(), self.get_slots())

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        self.set_tensors(state.tensors)
        self.set_slots(state.slots)

    def get_slots(self) -> dict[str, Array]:
        """Return the optimizer's slots, by `slot_name`."""
        return {name: value.copy() for name, value in self._slots.items()}

    def set_slots(self, slots: Mapping[str, Array]) -> None:
        """Replace the optimizer's slots; none means before the first step."""
        self._slots = {name: value.copy() for name, value in slots.items()}

    def running_stats(self) -> dict[str, Array]:
        """Return the running statistics of the norms that train mode computes, by tensor name."""
        computed = self.graph.reachable(self.graph.heads)
        tensors = self.get_tensors()
        return {
            name: tensors[name]
            for name, node, param in self.graph.parameters()
            if not param.trainable and node.index in computed
        }
