"""What a backend is tried on: a layer by itself as a whole spec, random weights, and how far rounding alone can reach.

>>> print(layer("add", {}, (2, 3), (2, 1)), end="")
archspec: 1
name: layer
input: [1, 8]
network:
  - name: layer
    add:
      a: [{crop: {sides: [[0, 2]]}}, {reshape: {to: [2, 3]}}]
      b: [{crop: {sides: [[6, 0]]}}, {reshape: {to: [2, 1]}}]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from archspec.conformance.text import yaml_text
from archspec.graph import Graph
from archspec.types import Shape

if TYPE_CHECKING:
    import numpy as np

    from archspec.op import Array
else:
    from archspec import lazy_numpy as np


def layer(kind: str, fields: Mapping[str, Any], *inputs: Shape) -> str:
    """A spec of one layer; several inputs are cut from one vector, so that each has values of its own."""
    if len(inputs) == 1:
        shape, step = inputs[0], {kind: dict(fields)} if fields else {kind: None}
    else:
        shape, step = (1, sum(map(math.prod, inputs))), {kind: _cut(inputs)}
    head = {"archspec": 1, "name": "layer", "input": list(shape)}
    return yaml_text({**head, "network": [{"name": "layer", **step}]})


def _cut(inputs: tuple[Shape, ...]) -> dict[str, Any]:
    sizes = [math.prod(shape) for shape in inputs]
    sides = [[sum(sizes[:i]), sum(sizes[i + 1 :])] for i in range(len(sizes))]
    return {
        "abcdefgh"[i]: [{"crop": {"sides": [sides[i]]}}, {"reshape": {"to": list(shape)}}]
        for i, shape in enumerate(inputs)
    }


def weights(graph: Graph, seed: int) -> dict[str, Array]:
    """A random tensor for every one of the graph, in float32's values: no two alike, moving variances positive."""
    rng = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for name, _, param in graph.parameters():
        values = rng.standard_normal(param.shape) / math.sqrt(max(param.fan[0], 1))
        found[name] = (values if param.trainable else np.abs(values) + 0.1).astype(np.float32).astype(np.float64)
    return found


def sensitivity(
    compute: Callable[[Array], Mapping[str, Array]], x: Array, expected: Mapping[str, Array], size: float
) -> float:
    """How far the outputs move, relative to the scale of each, when every input value moves by about `size` of itself.

    What moves far has lost its digits on the way, as a difference of near equals has: no two engines agree on it.
    """
    moved = compute(x * (1 + size * np.random.default_rng(0).uniform(-1, 1, x.shape)))
    scales = {name: float(np.abs(y).max()) for name, y in expected.items()}
    return max(
        float(np.abs(moved[name] - y).max()) / scales[name] if scales[name] else 0.0 for name, y in expected.items()
    )
