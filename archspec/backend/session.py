"""A built model as verification and training see it: tensors go in and out by neutral name, in neutral layouts.

A backend's `open` gives a Session; the float64 reference has the same face in `archspec/reference/session.py`, so that
one can be held against the other. Batches are [N, *input], channels first, whatever the framework likes better.

>>> SgdConfig(learning_rate=0.1, momentum=0.9).rule.slots
('momentum',)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from archspec._numpy import Array
from archspec.backend.optimizer import SGD
from archspec.diagnostics import quote
from archspec.ir.graph import Graph
from archspec.ir.types import Shape, format_shape

Mode = Literal["eval", "train", "grad", "step"]
"""What is compared: the outputs in eval mode, those in train mode, gradients, the tensors after an optimizer step."""

Precision = Literal["float32", "float64"]


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """What a run gives: outputs by head, activations by path if kept, moving statistics by neutral name."""

    outputs: dict[str, Array]
    activations: dict[str, Array]
    running_stats: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Gradients:
    """Derivatives of a loss: with respect to the input, and to every trainable tensor by its neutral name.

    `outputs` are those of the run that they were taken in.
    """

    outputs: dict[str, Array]
    input: Array
    tensors: dict[str, Array]


OutputCotangents = Callable[[Mapping[str, "Array"]], Mapping[str, "Array"]]
"""A loss, as what differentiation needs of it: from the outputs by head to its derivative with respect to each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SgdConfig:
    """Stochastic gradient descent by `backend.optimizer.Momentum`; the decay touches every trainable tensor."""

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    @property
    def rule(self) -> SGD:
        """How a tensor moves."""
        return SGD(self.momentum, self.nesterov)

    def apply(
        self,
        tensors: Mapping[str, Array],
        gradients: Mapping[str, Array],
        slots: Mapping[str, Array],
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """The tensors and slots after a step; `slots` is empty before the first. It is the definition, in numpy."""
        moved, kept, how = (
            dict(tensors),
            dict(slots),
            {"rate": self.learning_rate, "decay": self.weight_decay},
        )
        for name, gradient in gradients.items():
            own = {
                slot: slots[key]
                for slot in self.rule.slots
                if (key := slot_name(name, slot)) in slots
            }
            moved[name], own = self.rule.step(tensors[name], gradient, own, **how, update=1)
            kept |= {slot_name(name, slot): value for slot, value in own.items()}
        return moved, kept


def slot_name(tensor: str, slot: str) -> str:
    """Under which name an optimizer's slot of a tensor travels; `@` begins no role, so that none is mistaken for one.

    >>> slot_name("conv.weight", "momentum")
    'conv.weight@momentum'
    """
    return f"{tensor}@{slot}"


@dataclass(frozen=True, slots=True)
class SessionState:
    """All that training goes on from: every tensor by neutral name, and the optimizer's slots by `slot_name`."""

    tensors: dict[str, Array]
    slots: dict[str, Array] = field(default_factory=dict[str, Any])

    def check(self, graph: Graph) -> None:
        """Raises ValueError unless each tensor is one of the graph's, each slot that of a trainable one, and all fit.

        Tensors may be missing.
        """
        params = {name: param for name, _, param in graph.parameters()}
        trained = {name: param.shape for name, param in params.items() if param.trainable}
        tensors = {name: params[name].shape for name in self.tensors if name in params}
        slots = {
            slot: trained[name]
            for slot in self.slots
            if (name := slot.rpartition("@")[0]) in trained
        }
        _fit(self.tensors, tensors, "no tensor of this network")
        _fit(self.slots, slots, "a slot of no trainable tensor of this network")


def _fit(values: Mapping[str, Array], shapes: Mapping[str, Shape], otherwise: str) -> None:
    for name, value in values.items():
        if name not in shapes:
            raise ValueError(f"{quote(name)} is {otherwise}")
        if value.shape != shapes[name]:
            raise ValueError(
                f"{quote(name)} is {format_shape(shapes[name])}, found {format_shape(value.shape)}"
            )


class Session(Protocol):
    """A model that runs. Dropout is off in it unless it is asked for, so that train mode can be compared."""

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        """Outputs by head, train-only heads in train mode alone; with `keep`, activations by path.

        Train mode uses the statistics of the batch, moves the moving ones as training does, and gives those that moved
        in `updates`. Of the activations a backend gives those that can be seen; each is [N, *shape of its node].
        With `dropout`, train mode drops as it does in training, and draws anew in each run; eval mode never drops.
        """
        ...

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        """Derivatives of the loss that `cotangents` stands for; a tensor that it does not depend on has zeros."""
        ...

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        """One step of training on a batch, in train mode; the slots are kept from one call to the next."""
        ...

    def state(self) -> SessionState:
        """Every tensor, and the slots; in the session's own precision."""
        ...

    def restore(self, state: SessionState) -> None:
        """Puts tensors and slots in place; slots that are not given are as before the first step.

        Tensors that are not given stay as they are. Raises ValueError where `State.check` does; nothing changes then.
        """
        ...
