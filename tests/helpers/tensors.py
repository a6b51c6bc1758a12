"""A small network, and tensors for it in which no two places have the same value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archspec.ir.graph import Graph

TEXT = """archspec: 1
name: small
input: [3, 6, 6]
network:
  - {name: one, conv: {out: 4, kernel: [3, 1]}}
  - {name: bn, batch_norm: {}}
  - flatten
  - {name: fc, linear: {out: 5}}
"""


def drawn(graph: Graph, seed: int = 0) -> dict[str, Any]:
    """Values that no two tensors and no two places share."""
    generator = np.random.default_rng(seed)
    return {
        n: generator.standard_normal(p.shape).astype(np.float32) for n, _, p in graph.parameters()
    }


def same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    return set(found) == set(expected) and all(
        found[k].shape == v.shape and found[k].dtype == np.float32 and (found[k] == v).all()
        for k, v in expected.items()
    )
