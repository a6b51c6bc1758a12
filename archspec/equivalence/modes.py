"""Modes of a verification: the same measurements of a backend's session and of the reference's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from archspec._numpy import Array
from archspec.backend.session import Mode, Precision, Session, SessionState, SgdConfig
from archspec.equivalence.inputs import VerifyInputs
from archspec.equivalence.measure import Expected, Jitter, Rounding
from archspec.ir.graph import Graph
from archspec.reference import ReferenceSession

Quantity = Literal["outputs", "activations", "statistics", "gradients", "tensors", "slots"]

MODES: tuple[Mode, ...] = ("eval", "train", "grad", "step")

DEFAULT_PRECISION: Mapping[Mode, Precision] = {
    "eval": "float32",
    "train": "float32",
    "grad": "float64",
    "step": "float64",
}
"""Derivatives jump where a relu bends and where a max pool's largest values tie. In a large network
float32's rounding takes the other side somewhere, so that no one value is right; in float64 it does
not."""

MIN_MOVES = 4
"""The fewest numbers whose largest move counts, of each derivative."""

OPTIMIZER = SgdConfig(learning_rate=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)


def measure(
    session: Session, material: VerifyInputs, mode: Mode
) -> dict[Quantity, dict[str, Array]]:
    """Return every tensor that a mode compares, by quantity and name."""
    session.restore(SessionState(dict(material.tensors)))
    match mode:
        case "eval":
            result = session.forward(material.x, return_activations=True)
            return {"outputs": result.outputs, "activations": result.activations}
        case "train":
            result = session.forward(material.x, train=True, return_activations=True)
            return {
                "outputs": result.outputs,
                "activations": result.activations,
                "statistics": result.running_stats,
            }
        case "grad":
            gradients = session.gradients(material.x, material.cotangents)
            return {"gradients": {"input": gradients.input, **gradients.tensors}}
        case "step":
            session.step(material.x, material.cotangents, OPTIMIZER)
            state = session.state()
            return {"tensors": state.tensors, "slots": state.slots}


def expected_values(
    graph: Graph,
    material: VerifyInputs,
    mode: Mode,
    rounding: Rounding,
    seeds: Sequence[int] | None = None,
) -> dict[Quantity, Expected]:
    """Return the float64 reference's values, and how far rounding at every layer can move them.

    Values move once for each of the `seeds`, by default as often as the smallest tensor needs.
    """
    plain = measure(ReferenceSession(graph, material.tensors), material, mode)
    expected: dict[Quantity, Expected] = {
        quantity: Expected(values) for quantity, values in plain.items()
    }
    # Of equal values an engine may take another than the reference; only derivatives tell which.
    signs = (1,) if mode in ("eval", "train") else (1, -1)
    for seed in seeds or range(1, 1 + _draws(graph, mode)):
        for sign in signs:
            moved = _moved(graph, material, mode, Jitter(rounding, seed, sign))
            expected = {
                quantity: values.widened(moved[quantity]) for quantity, values in expected.items()
            }
    return expected


def _draws(graph: Graph, mode: Mode) -> int:
    """Return how often values are moved: a single number may happen to move by next to nothing."""
    if mode in ("eval", "train"):
        return 1
    sizes = [param.size for _, _, param in graph.parameters() if param.trainable]
    return math.ceil(MIN_MOVES / min(sizes, default=MIN_MOVES))


def _moved(
    graph: Graph, material: VerifyInputs, mode: Mode, jitter: Jitter
) -> dict[Quantity, dict[str, Array]]:
    moved = replace(
        material, tensors={name: jitter(value) for name, value in material.tensors.items()}
    )
    return measure(ReferenceSession(graph, moved.tensors, jitter), moved, mode)
