"""Merges, which are written into `forward`."""

from __future__ import annotations

from archspec_torch.lowering import Merge

LOWERED = {
    "concat": lambda op, *inputs: Merge("cat"),
    "add": lambda op, *inputs: Merge("+"),
    "multiply": lambda op, *inputs: Merge("*"),
}
