r"""Write a spec's text into Python source, where it must remain text and nothing else.

>>> print(docstring('the "so-called" ""best"" C:\\net'))
the "so-called" ''best'' C:\\net
"""

from __future__ import annotations

import math
import re
import unicodedata
from itertools import accumulate, takewhile
from typing import Any, cast

WIDTH = 100


def printable(text: str, limit: int = 2000) -> str:
    """Return text as one line of printable characters.

    Others become escapes, such as direction marks and lone surrogates.
    """
    words = " ".join(text[:limit].split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def docstring(text: str, limit: int = 2000) -> str:
    """Return text that can neither end a docstring nor form an escape in it."""
    escaped = printable(text, limit).replace("\\", "\\\\")
    safe = re.sub('""+', lambda quotes: "'" * len(quotes[0]), escaped)
    return safe[:-1] + "'" if safe.endswith('"') else safe


def wrap(text: str, width: int) -> list[str]:
    """Break text into lines of at most `width` columns; a longer word is cut.

    A full-width letter takes two columns.

    >>> wrap("going deeper", 8)
    ['going', 'deeper']
    """
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if display_width(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        lines[-1] = word
        while display_width(lines[-1]) > width:
            cut = _longest_prefix(lines[-1], width)
            lines[-1:] = [lines[-1][:cut], lines[-1][cut:]]
    return lines


def _longest_prefix(text: str, width: int) -> int:
    """Return how many characters of a text fit into `width` columns."""
    columns = accumulate(map(display_width, text))
    return sum(1 for _ in takewhile(lambda total: total <= width, columns))


def display_width(text: str) -> int:
    """Return the number of columns in which a line is displayed."""
    if text.isascii():
        return len(text)
    return len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text)


def literal(value: Any) -> str:
    """Return a value as source, with the quotes and spaces that formatters use.

    >>> literal("max"), literal((1, 2)), literal(1e-05)
    ('"max"', '(1, 2)', '1e-5')
    """
    if isinstance(value, str):
        return _string_literal(value)
    if isinstance(value, tuple):
        parts = [literal(part) for part in cast("tuple[Any, ...]", value)]
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    if isinstance(value, float):
        return _float_literal(value)
    return repr(value)


def _string_literal(value: str) -> str:
    shown = repr(value)
    quote = shown[0]
    body = shown[1:-1]
    if '"' not in value:
        return f'"{body}"'
    # Formatters prefer double quotes unless single ones need fewer escapes.
    if quote == "'" and value.count("'") >= value.count('"'):
        return '"' + body.replace("\\'", "'").replace('"', '\\"') + '"'
    return shown


def _float_literal(value: float) -> str:
    if not math.isfinite(value):
        return f'float("{value}")'
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa
