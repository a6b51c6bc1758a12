"""Data and located trees as YAML text that reads back as the same values.

>>> print(yaml_text({"name": "no", "rows": [["1e-3", "a: b", None, 1e-3]]}), end="")
name: no
rows: [["1e-3", "a: b", ~, 0.001]]
>>> print(yaml_text({"args": {}, "network": [{"name": "#1", "relu": None}, "x" * 90]}), end="")
args: {}
network:
  - {name: "#1", relu: ~}
  - xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from archspec.diagnostics import Source
from archspec.frontend.tree import Tree, YamlList, YamlMap, YamlScalar
from archspec.frontend.yaml import resolve_scalar

_PLAIN = re.compile(r"[A-Za-z0-9_$./(][A-Za-z0-9_$./()+*% -]*")
_WIDTH = 100
_LONG_KEY = 1000
"""The length from which a key is announced by `?`: YAML looks no further for its colon."""
MAX_ORIGINS = 3

Line = tuple[str, tuple[str, ...]]
"""A line's text, and the origins of its values: `net.yaml:7`."""


def yaml_text(data: Any) -> str:
    """Return data as YAML: short collections on one line, longer ones with one item a line."""
    return "".join(f"{text}\n" for text, _ in _document(_tree(data)))


def annotated_yaml(tree: YamlMap) -> str:
    """Return the YAML of a spec, with a comment on each line that names its file and line."""
    lines = [*_document(tree)]
    width = min(max((len(text) for text, _ in lines), default=0), _WIDTH)
    return "".join(f"{_annotated(text, origins, width)}\n" for text, origins in lines)


def scalar_text(scalar: YamlScalar) -> str:
    """Return a scalar as YAML that reads back as the same value, in its own spelling if it can."""
    value = scalar.value
    if value is None:
        return "~"
    if isinstance(value, str):
        return value if _is_plain(value) else '"' + "".join(map(_escaped, value)) + '"'
    if resolve_scalar(scalar.text) == value:
        return scalar.text
    return re.sub("inf|nan", r".\g<0>", str(value).lower())


def _is_plain(text: str) -> bool:
    """Return True if a text needs no quotes: it reads as itself, and not as a number or a word."""
    if not _PLAIN.fullmatch(text) or text != text.strip():
        return False
    return isinstance(resolve_scalar(text), str)


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _annotated(text: str, origins: tuple[str, ...], width: int) -> str:
    if not origins:
        return text
    comment = ", ".join(origins[:MAX_ORIGINS])
    # A file's name must not end the comment.
    comment = "".join(char if char.isprintable() else " " for char in comment)
    return f"{text:<{width}}  # {comment}"


# Layout


def _document(tree: Tree) -> Iterator[Line]:
    if isinstance(tree, YamlScalar) or _is_empty(tree):
        yield _flow(tree), _origins(tree)
    else:
        yield from _block(tree, "")


def _block(tree: YamlMap | YamlList, indent: str) -> Iterator[Line]:
    """Give the lines of a collection that is not empty, one entry or item after the other."""
    if isinstance(tree, YamlList):
        for item in tree.items:
            yield from _item(item, indent)
        return
    for key, value in tree:
        text = scalar_text(key)
        if len(text) < _LONG_KEY:
            yield from _entry(f"{indent}{text}:", value, indent)
        else:
            yield f"{indent}? {text}", ()
            yield from _entry(f"{indent}:", value, indent)


def _entry(head: str, value: Tree, indent: str) -> Iterator[Line]:
    flow = _flow(value)
    fits = len(head) + len(flow) < _WIDTH and len(_origins(value)) < 2
    if isinstance(value, YamlScalar) or _is_empty(value) or fits:
        yield f"{head} {flow}", _origins(value)[:1]
    else:
        yield head, ()
        yield from _block(value, indent + "  ")


def _item(item: Tree, indent: str) -> Iterator[Line]:
    flow = _flow(item)
    fits = len(indent) + len(flow) < _WIDTH
    if isinstance(item, YamlScalar) or _is_empty(item) or fits:
        yield f"{indent}- {flow}", _origins(item)
    else:
        (text, origins), *rest = _block(item, indent + "  ")
        yield f"{indent}- {text.lstrip()}", origins
        yield from rest


def _is_empty(tree: YamlMap | YamlList) -> bool:
    return not (tree.entries if isinstance(tree, YamlMap) else tree.items)


def _flow(tree: Tree) -> str:
    """Return a tree on one line."""
    if isinstance(tree, YamlScalar):
        return scalar_text(tree)
    if isinstance(tree, YamlList):
        return "[" + ", ".join(map(_flow, tree.items)) + "]"
    return "{" + ", ".join(f"{scalar_text(key)}: {_flow(value)}" for key, value in tree) + "}"


# Origins


def _origins(tree: Tree) -> tuple[str, ...]:
    """Return the first few distinct files and lines that the values inside came from."""
    origins = islice(dict.fromkeys(_scalar_origins(tree)), MAX_ORIGINS)
    return tuple(origins) or (_origin(tree),)


def _scalar_origins(tree: Tree) -> Iterator[str]:
    if isinstance(tree, YamlScalar):
        yield _origin(tree)
        return
    for inner in tree.items if isinstance(tree, YamlList) else (value for _, value in tree):
        yield from _scalar_origins(inner)


def _origin(tree: Tree) -> str:
    return f"{tree.source.name}:{tree.start[0]}"


# Data without a source

_NO_SOURCE = Source("", "")
_START = (1, 1)


def _tree(data: Any) -> Tree:
    if isinstance(data, dict):
        pairs = cast("dict[Any, Any]", data).items()
        entries = {str(key): (_scalar(key), _tree(value)) for key, value in pairs}
        return YamlMap(entries, _NO_SOURCE, _START, _START)
    if isinstance(data, list | tuple):
        items = [_tree(item) for item in cast("list[Any]", data)]
        return YamlList(items, _NO_SOURCE, _START, _START)
    return _scalar(data)


def _scalar(value: Any) -> YamlScalar:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return YamlScalar(value, text, _NO_SOURCE, _START, _START)
