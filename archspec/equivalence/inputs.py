"""What a network is verified with: weights, a batch, and a loss, all from a seed, none of them degenerate."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from archspec._numpy import Array, np
from archspec.backend.session import OutputCotangents
from archspec.ir.graph import Graph


@dataclass(frozen=True, slots=True)
class VerifyInputs:
    """Tensors by neutral name and a batch, both in values that float32 holds; and the loss."""

    tensors: Mapping[str, Array]
    x: Array
    cotangents: OutputCotangents


def verify_inputs(
    graph: Graph, seed: int, batch: int, tensors: Mapping[str, Array] | None = None
) -> VerifyInputs:
    """For that seed; `tensors` stand in for the random weights where they are given."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, *graph.input)).astype(np.float32).astype(np.float64)
    return VerifyInputs(
        random_weights(graph, seed) if tensors is None else tensors,
        x,
        fixed_cotangents(graph, seed),
    )


def random_weights(graph: Graph, seed: int) -> dict[str, Array]:
    """A random tensor for every one of the graph, in float32's values: no two alike, moving variances positive.

    Initial weights would not do: where biases are zero and scales one, what forgets them computes the same.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name, _, param in graph.parameters():
        values = rng.standard_normal(param.shape) / math.sqrt(max(param.fan[0], 1))
        found[name] = (
            (values if param.trainable else np.abs(values) + 0.1)
            .astype(np.float32)
            .astype(np.float64)
        )
    return found


def fixed_cotangents(graph: Graph, seed: int) -> OutputCotangents:
    """A loss that all outputs share in: the sum of their values, each times a fixed number and its head's weight."""
    size = {head.name: head.weight or 1.0 for head in graph.heads}

    def pull(outputs: Mapping[str, Array]) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for name, y in outputs.items():
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            found[name] = size[name] * rng.uniform(-1, 1, y.shape).astype(np.float32).astype(
                np.float64
            )
        return found

    return pull
