"""Every trap, by name: where a framework's own default is another, the spec's meaning is kept."""

from __future__ import annotations

from archspec.conformance.layers import read
from archspec.conformance.ops import spread
from archspec.conformance.subject import Subject
from archspec.conformance.traps import Trap
from archspec.equivalence.material import Material, shares, weights


def test_trap(subject: Subject, trap: Trap) -> None:
    spec = read(trap.text)
    graph = spec.graph
    if not {node.op.kind for node in graph.nodes[1:]} <= set(subject.target.backend.lowered):
        return  # a gap: `declaration.py` and `layers.py` hold the backend to saying so
    for batch in (3, 1) if "train" not in trap.modes else (3,):
        x = spread((batch, *graph.input), seed=batch) - (8 if trap.negative else 0)
        given = Material(weights(graph, seed=1), x, shares(graph, seed=1))
        subject.holds(spec, given, *trap.modes, precision="float64")
