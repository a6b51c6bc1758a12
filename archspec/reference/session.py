"""The reference as a session, against which a backend's session is checked.

>>> import archspec, numpy as np
>>> from archspec.weights.init import initial_tensors
>>> graph = archspec.load("lenet5").graph
>>> session = ReferenceSession(graph, initial_tensors(graph, seed=0))
>>> sgd = SgdConfig(learning_rate=0.1, momentum=0.9)
>>> session.step(np.ones((2, *graph.input)), lambda outputs: outputs, sgd)
>>> "c1.conv.weight@momentum" in session.state().slots
True
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from archspec._numpy import Array, np
from archspec.backend.session import (
    ForwardResult,
    Gradients,
    OutputCotangents,
    SessionState,
    SgdConfig,
)
from archspec.ir.graph import Graph
from archspec.ir.op import EvalContext
from archspec.reference.backward import backward
from archspec.reference.forward import evaluate, node_tensors

Perturb = Callable[["Array"], "Array"]


class ReferenceSession:
    """Implements `archspec.backend.session.Session` in float64.

    Raises ValueError for a tensor that is missing or does not fit.
    """

    def __init__(
        self,
        graph: Graph,
        tensors: Mapping[str, Array],
        disturb: Perturb = lambda value: value,
        frozen_batch_norms: Collection[str] = (),
    ) -> None:
        self.graph, self.perturb, self.frozen_batch_norms, self._rng = (
            graph,
            disturb,
            frozen_batch_norms,
            np.random.default_rng(0),
        )
        self._tensors: dict[str, Array] = {}
        self._slots: dict[str, Array] = {}
        self.restore(SessionState(dict(tensors)))
        for node in graph.nodes:
            node_tensors(graph, node, self._tensors)

    def forward(
        self,
        x: Array,
        *,
        train: bool = False,
        return_activations: bool = False,
        dropout: bool = False,
    ) -> ForwardResult:
        result = evaluate(
            self.graph,
            self._tensors,
            x,
            self._mode(train, dropout),
            return_activations=return_activations,
        )
        self._tensors.update(result.running_stats)
        return result

    def gradients(self, x: Array, cotangents: OutputCotangents, *, train: bool = True) -> Gradients:
        """Differentiate; in train mode this updates the running statistics too."""
        result = self.forward(x, train=train, return_activations=True)
        return backward(self.graph, self._tensors, result, cotangents, self._mode(train))

    def step(self, x: Array, cotangents: OutputCotangents, optimizer: SgdConfig) -> None:
        gradients = self.gradients(x, cotangents).tensors
        self._tensors, self._slots = optimizer.apply(self._tensors, gradients, self._slots)

    def state(self) -> SessionState:
        return SessionState(_copies(self._tensors), _copies(self._slots))

    def restore(self, state: SessionState) -> None:
        state.check(self.graph)
        self._tensors |= _copies(state.tensors)
        self._slots = _copies(state.slots)

    def _mode(self, train: bool, dropout: bool = False) -> EvalContext:
        return EvalContext(
            train=train,
            dropout=dropout,
            rng=self._rng,
            perturb=self.perturb,
            frozen_batch_norms=self.frozen_batch_norms,
        )


def _copies(tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.array(value, dtype=np.float64) for name, value in tensors.items()}
