"""The options of an ONNX build: opset, train mode, external weights, blocks as functions."""

from __future__ import annotations

from archspec.backend import BuildOption

OLDEST, NEWEST = 17, 28
"""The opsets that can be emitted: 17 has LayerNormalization, 28 is what ONNX Runtime 1.32 runs."""


def parse_opset(text: str) -> int:
    """Return the number of an opset; raise ValueError if it cannot be emitted.

    >>> parse_opset("21")
    21
    """
    if not text.isdecimal() or not OLDEST <= int(text) <= NEWEST:
        raise ValueError(f"expected an opset from {OLDEST} to {NEWEST}, found {text!r}")
    return int(text)


OPTIONS = {
    "opset": BuildOption(
        help=(
            f"the version of ONNX's operators, {OLDEST} to {NEWEST}; "
            "older engines need an older one"
        ),
        parse=parse_opset,
        default=NEWEST,
    ),
    "train": BuildOption(
        help=(
            "the network in train mode; all heads and the updated running statistics are outputs"
        ),
        parse=bool,
        default=False,
    ),
    "external": BuildOption(
        help="leave the weights in weights.safetensors, as is done where they exceed 2 GB",
        parse=bool,
        default=False,
    ),
    "functions": BuildOption(help="one ONNX function for each block", parse=bool, default=False),
}
