"""What a session on the emitted Keras model keeps, where Keras itself keeps something else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archspec.backend.session import Session, SgdConfig
from archspec.conformance.compare import compare_all
from archspec.equivalence.inputs import random_weights
from archspec.ir.graph import Graph
from archspec.reference import ReferenceSession
from tests.helpers.graphs import Builder
from tests.unit.keras.sessions import session


def network() -> Graph:
    """Two layers in a row, and one beside them that no output reads."""
    b = Builder(4)
    first = b.add("first", "linear", out=3)
    b.add("unread", "linear", out=5)
    b.add("last", "linear", first, out=2)
    return b.graph()


def test_what_no_output_reads_keeps_the_weights_of_the_build() -> None:
    graph = network()
    given = random_weights(graph, seed=1)
    assert any(name.startswith("unread.") for name in given)
    compare_all(session(graph, given).state().tensors, given, what="tensors")


def test_a_step_by_nothing_is_remembered() -> None:
    """As where a learning rate is warmed up from zero."""
    graph = network()
    given = random_weights(graph, seed=1)
    x = np.random.default_rng(2).normal(size=(3, *graph.input))
    sessions: list[Session] = [session(graph, given), ReferenceSession(graph, given)]

    def pull(outputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return outputs

    for rate in (0.0, 0.1, 0.0):
        for one in sessions:
            one.step(x, pull, SgdConfig(learning_rate=rate, momentum=0.9, weight_decay=0.1))
        found, wanted = (one.state() for one in sessions)
        compare_all(found.slots, wanted.slots, bound=1e-9, what="slots")
        compare_all(found.tensors, wanted.tensors, bound=1e-9, what="tensors")
