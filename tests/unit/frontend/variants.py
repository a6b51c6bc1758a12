"""A spec to change, and what is read of its variants."""

from __future__ import annotations

from typing import Any

from archspec.frontend.loader import Spec
from tests.helpers.language import good, the

BASE = """archspec: 1
name: Base
input: [3, 8, 8]
args: {width: 4, rate: 0.5, deep: true, kind: same}
blocks:
  unit:
    args: {out: int, kernel: size = 1}
    body:
      - {name: conv, conv: {out: $out, kernel: $kernel, padding: $kind}}
      - {relu: , when: $deep}
  module:
    args: ["#1x1", pool proj]
    body:
      - concat:
          1x1: [{unit: {out: "${#1x1}"}}]
          pool: [{max_pool: {kernel: 3, stride: 1, padding: 1}}, {name: proj, unit: {out: "${pool proj}"}}]
network:
  table:
    columns: [name, type, out, "#1x1", pool proj, output]
    rows:
      - [stem, unit, $width, ~, ~, ~]
      - [m1, module, ~, 2, 3, 8x8x5]
      - {name: drop, dropout: {rate: $rate}}
      - [m2, module, ~, 4, 4, ~]
      - flatten
      - [fc, linear, 10, ~, ~, ~]
heads: {main: {classes: 10, weight: 1.0}}
train: {epochs: 10, schedule: {kind: step, every: 3, factor: 0.1}}
"""


def variant(text: str = "", *, base: str = BASE, **options: Any) -> Spec:
    return good(f"archspec: 1\nextends: base.yaml\n{text}", files={"base.yaml": base}, **options)


def refused(text: str, code: str, mark: str | None = None, **options: Any) -> Any:
    return the(
        f"archspec: 1\nextends: base.yaml\n{text}", code, mark, files={"base.yaml": BASE}, **options
    )


def edited(edit: str) -> Spec:
    return variant(f"edit:\n  - {edit}\n")


def steps(spec: Spec) -> list[tuple[str, str]]:
    return [(node.path, node.op.kind) for node in spec.graph.nodes[1:]]


def base() -> Spec:
    return good(BASE)


def shape(spec: Spec, path: str) -> tuple[int, ...]:
    return next(node.shape for node in spec.graph.nodes if node.path == path)
