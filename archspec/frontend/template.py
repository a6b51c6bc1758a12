"""The spec that `archspec init` writes: small, complete, and commented."""

from __future__ import annotations

import json

_TEXT = """\
archspec: 1                      # the version of the language
name: NAME
input: [1, 28, 28]               # one sample, channels first: channels, height, width
args: {classes: 10}              # change one for a run: --set classes=100

blocks:
  convolution:                   # a layer of your own: arguments, then the steps it stands for
    args: {out: int, kernel: size = 3}
    body:
      - conv: {out: $out, kernel: $kernel, padding: symmetric}
      - relu

network:                         # steps run from top to bottom
  - {name: conv1, convolution: {out: 16}}
  - {name: pool1, max_pool: {kernel: 2, stride: 2}, output: 14x14x16}   # `output` is checked
  - name: split                  # branches that are joined: each is a body of its own
    concat:
      1x1: [{convolution: {out: 16, kernel: 1}}]
      3x3: [{convolution: {out: 32}}]
  - {name: pool2, max_pool: {kernel: 2, stride: 2}}
  - flatten
  - dropout: {rate: 0.5}
  - {name: classifier, linear: {out: $classes}}

heads:
  main: {loss: cross_entropy, classes: $classes}
"""


def starter_spec(name: str) -> str:
    """Return the text of a small spec with that name.

    >>> print(starter_spec("digits")[:54])
    archspec: 1                      # the version of the
    """
    return _TEXT.replace("NAME", json.dumps(name), 1)
