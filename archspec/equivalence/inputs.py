"""Inputs of a verification: weights, a batch and a loss, all from a seed."""

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
    """Tensors by portable name and a batch, both in values that float32 holds, and the loss."""

    tensors: Mapping[str, Array]
    x: Array
    cotangents: OutputCotangents


def verify_inputs(
    graph: Graph, seed: int, batch: int, tensors: Mapping[str, Array] | None = None
) -> VerifyInputs:
    """Return the inputs of a seed, with `tensors` in place of random weights if given."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, *graph.input)).astype(np.float32).astype(np.float64)
    return VerifyInputs(
        random_weights(graph, seed) if tensors is None else tensors,
        x,
        fixed_cotangents(graph, seed),
    )


def random_weights(graph: Graph, seed: int) -> dict[str, Array]:
    """Return random tensors of a graph, in float32's values, with positive running variances.

    Initial weights would not do: with zero biases and unit scales, code that forgets them computes
    the same.
    """
    rng = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for name, _, param in graph.parameters():
        values = rng.standard_normal(param.shape) / math.sqrt(max(param.fan[0], 1))
        tensors[name] = (
            (values if param.trainable else np.abs(values) + 0.1)
            .astype(np.float32)
            .astype(np.float64)
        )
    return tensors


def fixed_cotangents(graph: Graph, seed: int) -> OutputCotangents:
    """Return the cotangents of a loss in which all outputs share.

    The loss sums all values, each times a fixed number and the weight of its head.
    """
    head_weights = {head.name: head.weight or 1.0 for head in graph.heads}

    def pull(outputs: Mapping[str, Array]) -> dict[str, Array]:
        cotangents: dict[str, Array] = {}
        for name, y in outputs.items():
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            cotangents[name] = head_weights[name] * rng.uniform(-1, 1, y.shape).astype(
                np.float32
            ).astype(np.float64)
        return cotangents

    return pull
