"""A JSON schema in words: what a value may be, for messages and docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archspec.diagnostics import quote

_WORDS = {
    "integer": ("an integer", "integers"),
    "number": ("a number", "numbers"),
    "boolean": ("true or false", "trues or falses"),
    "string": ("a text", "texts"),
    "object": ("a mapping", "mappings"),
    "array": ("a list", "lists"),
}
"""Each type of JSON, singular and plural."""

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}

_UNSTATED = 2**60
"""Bounds from here on hold for every number of a spec, and go without saying."""


def describe_schema(schema: Mapping[str, Any], plural: bool = False) -> str:
    """Return in words what a JSON schema accepts.

    >>> sizes = {"type": "array", "items": {"type": "integer"}}
    >>> describe_schema({"anyOf": [{"type": "integer", "minimum": 1}, sizes]})
    'an integer of at least 1 or a list of integers'
    """
    if "$ref" in schema:
        return _WORDS["object"][plural]
    if "anyOf" in schema:
        return _alternatives(schema["anyOf"], plural) + _limits(schema)
    if "enum" in schema:
        return "one of " + ", ".join(quote(value) for value in schema["enum"])
    if "const" in schema:
        return quote(schema["const"])
    kind = schema.get("type", "")
    if kind == "string" and "pattern" in schema:
        return "sizes such as 3x5" if plural else "a size such as 3x5"
    words = _WORDS[kind][plural] if kind in _WORDS else ""
    items = describe_schema(schema.get("items", {}), plural=True) if kind == "array" else ""
    return f"{words} of {items}" if items else words + _limits(schema)


def _alternatives(schemas: list[Mapping[str, Any]], plural: bool) -> str:
    described = (describe_schema(schema, plural) for schema in schemas)
    parts = [part for part in dict.fromkeys(described) if part]
    integers, numbers = _WORDS["integer"][plural], _WORDS["number"][plural]
    if numbers in parts and integers in parts:
        parts.remove(integers)
    *most, last = parts or [""]
    return f"{', '.join(most)} or {last}" if most else last


def _limits(schema: Mapping[str, Any]) -> str:
    """Return the bounds of a number, with a leading space."""
    bounds = [
        f"{word} {schema[key]:,}"
        for key, word in _BOUNDS.items()
        if key in schema and schema[key] < _UNSTATED
    ]
    if not bounds:
        return ""
    preposition = " of " if bounds[0].startswith("at") else " "
    return preposition + " and ".join(bounds)
