"""Shell-style patterns of tensor names: `stem.*` matches everything in `stem`.

>>> matches("stem.conv.weight", ["stem.*", "head.*"]), matches("stem.conv.weight", ["*.bias"])
(True, False)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from archspec.diagnostics import Failure, did_you_mean, quote


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether any pattern matches the name; case matters."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def check_patterns_match(patterns: Iterable[str], names: Collection[str]) -> None:
    """Raise `Failure` for a pattern that matches none of the tensors' names."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise Failure(
                f"{quote(pattern)} matches no tensor", did_you_mean(pattern, names, "tensors")
            )
