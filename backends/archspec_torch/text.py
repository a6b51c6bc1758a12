r"""A spec's words inside Python source: in docstrings, comments and literals they are text and nothing else.

>>> print(docstring('the "so-called" ""best"" C:\\net'))
the "so-called" ''best'' C:\\net
"""

from __future__ import annotations

import math
import re
import textwrap
from typing import Any

WIDTH = 120


def printable(text: str, limit: int = 2000) -> str:
    """One line of characters that can be seen: others, direction marks and lone surrogates among them, as escapes."""
    words = " ".join(text[:limit].split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def docstring(text: str, limit: int = 2000) -> str:
    """Text that can neither end a docstring nor escape in it."""
    safe = re.sub('""+', lambda quotes: "'" * len(quotes[0]), printable(text, limit).replace("\\", "\\\\"))
    return safe[:-1] + "'" if safe.endswith('"') else safe


def wrapped(text: str, indent: int = 0) -> list[str]:
    """Lines no longer than the file allows."""
    return textwrap.wrap(text, WIDTH - indent - 4, break_on_hyphens=False) or [""]


def literal(value: Any) -> str:
    """A value as source, in the quotes and spaces that formatters leave alone.

    >>> literal("max"), literal((1, 2)), literal(1e-05)
    ('"max"', '(1, 2)', '1e-5')
    """
    if isinstance(value, str):
        shown = repr(value)
        body = shown[1:-1]
        if '"' not in value:
            return f'"{body}"'
        if shown[0] == "'" and value.count("'") >= value.count('"'):
            return '"' + body.replace("\\'", "'").replace('"', '\\"') + '"'
        return shown
    if isinstance(value, tuple):
        parts: list[str] = [literal(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    if isinstance(value, float):
        if not math.isfinite(value):
            return f'float("{value}")'
        mantissa, e, exponent = repr(value).partition("e")
        return f"{mantissa}e{int(exponent)}" if e else mantissa
    return repr(value)
