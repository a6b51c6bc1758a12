r"""A spec's words inside Python source: in docstrings, comments and literals they are text and nothing else.

>>> print(docstring('the "so-called" ""best"" C:\\net'))
the "so-called" ''best'' C:\\net
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, cast

WIDTH = 100


def printable(text: str, limit: int = 2000) -> str:
    """One line of characters that can be seen: others, direction marks and lone surrogates among them, as escapes."""
    words = " ".join(text[:limit].split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def docstring(text: str, limit: int = 2000) -> str:
    """Text that can neither end a docstring nor escape in it."""
    safe = re.sub(
        '""+', lambda quotes: "'" * len(quotes[0]), printable(text, limit).replace("\\", "\\\\")
    )
    return safe[:-1] + "'" if safe.endswith('"') else safe


def wrap(text: str, width: int) -> list[str]:
    """Lines of that many columns, a full-width letter counting for two; a word that is longer is cut.

    >>> wrap("going deeper", 8)
    ['going', 'deeper']
    """
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if display_width(joined) <= width:
            lines[-1] = joined
            continue
        lines += [word] if lines[-1] else []
        lines[-1] = lines[-1] or word
        while display_width(lines[-1]) > width:
            cut = next(
                n
                for n in range(len(lines[-1]) - 1, -1, -1)
                if display_width(lines[-1][:n]) <= width
            )
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    return lines


def display_width(text: str) -> int:
    """How wide a line is shown."""
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text)


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
        parts = [literal(part) for part in cast("tuple[Any, ...]", value)]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    if isinstance(value, float):
        if not math.isfinite(value):
            return f'float("{value}")'
        mantissa, e, exponent = repr(value).partition("e")
        return f"{mantissa}e{int(exponent)}" if e else mantissa
    return repr(value)
