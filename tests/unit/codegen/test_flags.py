"""A flag is never written as a number that happens to equal it."""

from __future__ import annotations

from tests.helpers.emitted import source
from tests.helpers.specs import checked

SPEC = """archspec: 1
name: net
input: [3, 8, 8]
blocks:
  unit:
    args: {pad: int, kind: str}
    body:
      - conv: {out: 4, kernel: 3, padding: $pad, bias: "${kind == 'biased'}"}
      - relu
network:
  - unit: {pad: 1, kind: biased}
  - unit: {pad: 0, kind: plain}
"""


def test_a_flag_has_a_parameter_of_its_own() -> None:
    text = source(checked(SPEC).graph)
    assert "nn.Conv2d(in_channels, 4, 3, padding=pad, bias=bias)" in text
    assert "bias=False)" in text
