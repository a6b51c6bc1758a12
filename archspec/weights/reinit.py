"""Suggest what to leave out of a checkpoint whose network has another head.

>>> misfits = ["head.fc.weight", "head.fc.bias", "aux.fc.weight"]
>>> reinit_advice(misfits, ["stem.weight", "head.conv.weight"])
"`archspec train` takes the rest with --reinit 'head.fc.*' --reinit 'aux.*'"
"""

from __future__ import annotations

import shlex
from collections.abc import Collection

MAX_PATTERNS = 8
"""With more patterns than these, the file is another network's altogether."""


def reinit_advice(misfits: Collection[str], others: Collection[str]) -> str:
    """Return how to take the other tensors, or "" if there are none or too much differs."""
    patterns = list(dict.fromkeys(_pattern(name.partition("@")[0], others) for name in misfits))
    if not others or len(patterns) > MAX_PATTERNS:
        return ""
    return "`archspec train` takes the rest with " + " ".join(
        f"--reinit {shlex.quote(p)}" for p in patterns
    )


def _pattern(name: str, others: Collection[str]) -> str:
    """Return the pattern of the outermost scope around a tensor that holds none of the others."""
    parts = name.split(".")
    for depth in range(1, len(parts)):
        scope = ".".join(parts[:depth]) + "."
        if not any(other.startswith(scope) for other in others):
            return f"{scope}*"
    return name
