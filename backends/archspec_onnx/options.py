"""The choices of an ONNX build: which opset, for training or not, where the weights lie, blocks as functions or not."""

from __future__ import annotations

from archspec.backend import Option

OLDEST, NEWEST = 17, 28
"""The opsets that can be emitted: from the first with LayerNormalization to the newest that ONNX Runtime 1.32 runs."""


def parse_opset(text: str) -> int:
    """The number of an opset; raises ValueError."""
    known = f"an opset from {OLDEST} to {NEWEST}"
    if not text.isdecimal() or not OLDEST <= int(text) <= NEWEST:
        raise ValueError(f"expected {known}, found {text!r}")
    return int(text)


OPTIONS = {
    "opset": Option(
        help=f"the version of ONNX's operators, {OLDEST} to {NEWEST}: an older one for an older engine",
        parse=parse_opset,
        default=NEWEST,
    ),
    "train": Option(
        help="the network in train mode, with all heads and the moved statistics as outputs",
        parse=bool,
        default=False,
    ),
    "external": Option(
        help="leave the weights in weights.safetensors, as is done where they exceed 2 GB",
        parse=bool,
        default=False,
    ),
    "functions": Option(help="one ONNX function for each block", parse=bool, default=False),
}
