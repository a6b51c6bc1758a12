"""A tree back to YAML, each line with the place that its values came from; reading it gives the same spec."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archspec.frontend.tree import List, Map, Scalar, Tree
from archspec.frontend.yaml import resolve

_PLAIN = re.compile(r"[A-Za-z0-9_$./(][A-Za-z0-9_$./()+*% -]*")
_WIDTH = 100
_LONG_KEY = 1000
"""Where a key has to be announced: YAML looks so far for its colon."""


def show(tree: Map) -> str:
    """The YAML text of a spec; a comment tells each line's file and line."""
    lines = list(_map(tree, ""))
    widest = min(max((len(text) for text, _ in lines), default=0), _WIDTH)
    return "".join(
        f"{text:<{widest}}  # {_spelt(origin)}\n" if origin else f"{text}\n"
        for text, origin in lines
    )


def _spelt(origin: str) -> str:
    return "".join(c if c.isprintable() else " " for c in origin)


def _origin(tree: Tree) -> str:
    scalar = _first(tree)
    place = scalar or tree
    return f"{place.source.name}:{place.start[0]}"


def _first(tree: Tree) -> Scalar | None:
    if isinstance(tree, Scalar):
        return tree
    inner = tree.items if isinstance(tree, List) else [value for _, value in tree]
    return next((found for item in inner if (found := _first(item))), None)


def _map(tree: Map, indent: str) -> Iterator[tuple[str, str]]:
    for key, value in tree:
        if len(text(key)) < _LONG_KEY:
            yield from _entry(f"{indent}{text(key)}:", value, indent + "  ")
        else:
            yield f"{indent}? {text(key)}", ""
            yield from _entry(f"{indent}:", value, indent + "  ")


def _entry(head: str, value: Tree, indent: str) -> Iterator[tuple[str, str]]:
    flow = _flow(value)
    origins = _origins(value)
    if (
        isinstance(value, Scalar)
        or len(flow) == 2
        or (len(head) + len(flow) < _WIDTH and len(origins) < 2)
    ):
        yield f"{head} {flow}", _origin(value)
    else:
        yield head, ""
        yield from _block(value, indent)


def _block(value: Tree, indent: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Map):
        yield from _map(value, indent)
    elif isinstance(value, List):
        for item in value.items:
            flow = _flow(item)
            if (
                isinstance(item, Scalar)
                or len(indent) + len(flow) < _WIDTH
                or not (isinstance(item, Map) and item.entries)
            ):
                yield f"{indent}- {flow}", ", ".join(_origins(item)[:3])
            else:
                first, *rest = _map(item, indent + "  ")
                yield f"{indent}- {first[0].lstrip()}", first[1]
                yield from rest


def _origins(tree: Tree) -> list[str]:
    """The distinct places, by line, of everything inside."""
    if isinstance(tree, Scalar):
        return [_origin(tree)]
    inner = tree.items if isinstance(tree, List) else [value for _, value in tree]
    return list(dict.fromkeys(origin for item in inner for origin in _origins(item)))


def _flow(tree: Tree) -> str:
    if isinstance(tree, Scalar):
        return text(tree)
    if isinstance(tree, List):
        return "[" + ", ".join(map(_flow, tree.items)) + "]"
    return "{" + ", ".join(f"{text(key)}: {_flow(value)}" for key, value in tree) + "}"


def text(scalar: Scalar) -> str:
    """A scalar as YAML that reads back as the same value."""
    value = scalar.value
    if value is None:
        return "~"
    if not isinstance(value, str):
        return (
            scalar.text
            if resolve(scalar.text) == value
            else re.sub("inf|nan", r".\g<0>", str(value).lower())
        )
    plain = _PLAIN.fullmatch(value) and value == value.strip() and isinstance(resolve(value), str)
    return value if plain else '"' + "".join(map(_escaped, value)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"
