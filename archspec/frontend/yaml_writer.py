"""Data as YAML text that reads back as the same data, whatever its strings hold.

>>> print(yaml_text({"name": "no", "rows": [["1e-3", "a: b", None, 1e-3]]}), end="")
name: no
rows: [["1e-3", "a: b", ~, 0.001]]
>>> print(yaml_text({"args": {}, "network": [{"name": "#1", "relu": None}, "x" * 99]}), end="")
args: {}
network:
  - {name: "#1", relu: ~}
  - xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from archspec.frontend.yaml import resolve

_PLAIN = re.compile(r"[A-Za-z0-9_$./][A-Za-z0-9_$./ -]*")
_WIDTH = 100


def yaml_text(data: Any) -> str:
    """The text: collections on one line where they are short, else one item a line."""
    return "".join(f"{line}\n" for line in _lines(data))


def _lines(data: Any) -> Iterator[str]:
    if not data or not isinstance(data, dict | list):
        yield _flow(data)
        return
    if isinstance(data, dict):
        items = [(f"{_flow(key)}:", value) for key, value in cast("dict[Any, Any]", data).items()]
    else:
        items = [("-", value) for value in cast("list[Any]", data)]
    for head, value in items:
        flow = _flow(value)
        if len(flow) < _WIDTH or not isinstance(value, dict | list):
            yield f"{head} {flow}"
        elif head == "-":
            first, *rest = _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
        else:
            yield head
            yield from (f"  {line}" for line in _lines(value))


def _flow(data: Any) -> str:
    if isinstance(data, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(value)}" for key, value in data.items()) + "}"  # pyright: ignore[reportUnknownVariableType]
    if isinstance(data, list | tuple):
        return "[" + ", ".join(map(_flow, data)) + "]"  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(data, str):
        plain = _PLAIN.fullmatch(data) and data == data.strip() and isinstance(resolve(data), str)
        return data if plain else '"' + "".join(map(_escaped, data)) + '"'
    return "~" if data is None else str(data).lower() if isinstance(data, bool) else repr(data)


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if " " <= char <= "~" else f"\\U{ord(char):08x}"
