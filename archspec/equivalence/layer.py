"""A layer by itself as a whole spec.

>>> print(layer_spec("add", {}, (2, 3), (2, 1)), end="")
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
from collections.abc import Mapping
from typing import Any

from archspec.frontend.yaml_writer import yaml_text
from archspec.ir.types import Shape


def layer_spec(kind: str, fields: Mapping[str, Any], *inputs: Shape) -> str:
    """Return the YAML of one layer; several inputs are cut from one vector, so that all differ."""
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
        f"branch {i}" if i > 25 else chr(ord("a") + i): [
            {"crop": {"sides": [sides[i]]}},
            {"reshape": {"to": list(shape)}},
        ]
        for i, shape in enumerate(inputs)
    }
