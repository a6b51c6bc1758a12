"""Patterns of names, as a shell's: `stem.*` is everything of `stem`.

>>> matches("stem.conv.weight", ["stem.*", "head.*"]), matches("stem.conv.weight", ["*.bias"])
(True, False)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from archspec.diagnostics import Failure, did_you_mean, quote


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of them is the name's; case counts."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_patterns_match(patterns: Iterable[str], names: Collection[str]) -> None:
    """Raises `Failure` for a pattern that no tensor's name follows."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Failure(
                f"no tensor is named as {quote(pattern)}", did_you_mean(pattern, names, "tensors")
            )
